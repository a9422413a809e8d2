"""What the Cloudknot paper published: the very points of its Figures 2, 3 and 4.

A. Richie-Halford, A. Rokem: "Cloudknot: A Python Library to Run your Existing Code on AWS Batch",
Proc. of the 17th Python in Science Conf. (SciPy 2018). The figures are pictures; their points stand
in the notebooks that drew them, `compare_heateq_results.ipynb` and `compare_results_mri.ipynb` in
https://github.com/scipy-conference/scipy_proceedings (papers/adam_richie-halford/figures).

Cloudknot's times of Figures 2 and 3 are from the submission of the array to the end of its last
child, in a compute environment that exists: of 256 vCPUs at most ("default"), or of 512 that were
kept running and 4,096 at most ("custom"). Nothing is interpolated here; 1 subject has no time of
Cloudknot's in the notebook.
"""

from __future__ import annotations

from collections.abc import Mapping

Points = Mapping[int, float]

_BORDERS = tuple(2**n for n in range(1, 13))
_SIDES = (10, 25, 50, 100, 125, 150, 175)
_SUBJECTS = (1, 2, 4, 8, 12, 25)


def _points(where: tuple[int, ...], *seconds: float) -> Points:
    return dict(zip(where, seconds, strict=True))


#: Seconds by the number of borders of a 10 x 10 grid.
FIGURE_2: Mapping[str, Points] = {
    "PyWren": _points(
        _BORDERS,
        *(2.291, 16.520, 17.443, 22.162, 19.345, 20.482),
        *(22.035, 22.102, 14.131, 26.163, 38.583, 87.600),
    ),
    "Cloudknot, default": _points(
        _BORDERS,
        *(48.337, 149.888, 247.269, 320.784, 108.277, 198.870),
        *(252.449, 144.155, 324.914, 586.702, 928.049, 2457.198),
    ),
    "Cloudknot, custom": _points(
        _BORDERS,
        *(62.008, 45.058, 43.976, 26.312, 23.610, 30.847),
        *(43.013, 76.391, 129.463, 222.536, 402.347, 662.090),
    ),
}
#: Seconds of five borders by the side of the grid; from 150 on PyWren met Lambda's 300 s.
FIGURE_3: Mapping[str, Points] = {
    "PyWren": _points(_SIDES[:5], 2.337, 2.545, 12.680, 126.445, 270.665),
    "Cloudknot, default": _points(
        _SIDES, 151.120, 53.268, 26.474, 98.540, 186.018, 214.167, 369.690
    ),
    "Cloudknot, custom": _points(_SIDES, 54.345, 30.709, 37.784, 72.454, 129.751, 223.170, 400.223),
}
#: Seconds by the number of subjects; all but Cloudknot's on 16 machines that were running.
FIGURE_4: Mapping[str, Points] = {
    "Dask": _points(_SUBJECTS, 604.84, 726.58, 1081.46, 1734.15, 2381.18, 4847.182541),
    "Myria": _points(
        _SUBJECTS, 383.047918, 591.677918, 986.376918, 1821.948918, 2825.507918, 5515.205029
    ),
    "Spark": _points(
        _SUBJECTS, 377.560062, 650.516533, 1035.264338, 1917.513293, 2711.942099, 5541.589612
    ),
    "Cloudknot": _points(_SUBJECTS[1:], 1272.0, 1919.0, 3380.0, 3848.0, 6026.0),
}
