"""Diffusion MRI of many subjects, the Cloudknot paper's third example, with each step as a task.

For each subject: mask, denoising, tensor model, mean fractional anisotropy (FA) in each region.
Then a summary of the group. The paper ran all steps of a subject as one task, because Cloudknot had
no dependencies between tasks.

The heads are synthetic, made with the gradients that come with Dipy, and small enough to take only
seconds. The paper's data (Human Connectome Project) can't be passed on. With synthetic heads,
on the other hand, the true FA is known.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from time import perf_counter

import numpy as np
from dask import delayed
from dask.delayed import Delayed
from dipy.core.gradients import GradientTable, gradient_table
from dipy.data import get_fnames
from dipy.denoise.nlmeans import nlmeans
from dipy.denoise.noise_estimate import estimate_sigma
from dipy.io.gradients import read_bvals_bvecs
from dipy.reconst.dti import TensorModel, fractional_anisotropy
from dipy.segment.mask import median_otsu
from distributed import Client, LocalCluster
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion

from dask_knot import KnotCluster

Volume = NDArray[np.float32]
Mask = NDArray[np.bool_]
#: Along the fibers and across them, in mm²/s / 1000, and how bright it is without diffusion.
TISSUES = {"white matter": (1.7, 0.3, 800), "gray matter": (1.0, 0.7, 1000)}
NOISE = 25
#: How much of white matter's diffusivity along the fibers differs between subjects.
SPREAD = 0.05
SLABS = 4
#: The fastest of so many counts: others may use the machine, too.
REPEATS = 3
#: In smaller heads, gray matter has no inside.
SMALLEST = 16

#: Seconds by system and number of subjects, as published: from the authors' notebook that draws
#: Figure 4 of the Cloudknot paper (compare_results_mri.ipynb, in the repository of the SciPy
#: proceedings). Those of Dask, Spark and Myria come from Mehta et al., "Comparative Evaluation of
#: Big-Data Systems on Scientific Image Analytics Workloads", VLDB 2017.
PUBLISHED_SUBJECTS = (1, 2, 4, 8, 12, 25)
PUBLISHED = {
    "Dask": (605, 727, 1081, 1734, 2381, 4847),
    "Spark": (378, 651, 1035, 1918, 2712, 5542),
    "Myria": (383, 592, 986, 1822, 2826, 5515),
    "Cloudknot": (np.nan, 1272, 1919, 3380, 3848, 6026),
}
CAPTION = """\
Left: synthetic heads of {side}³ voxels in {volumes} volumes, {jobs} tasks at once on one machine,
fastest of {repeats} runs. Right: whole heads of the Human Connectome Project, on 16 machines of
type r3.2xlarge (Cloudknot: AWS Batch's choice), Richie-Halford and Rokem, 2018, Mehta et al., 2017.
Data and machines differ: compare how the lines rise with the subjects, not how high they are."""


def gradients() -> GradientTable:
    """Give the gradients of 65 volumes that Dipy ships: one without diffusion, 64 directions."""
    _, bvals, bvecs = get_fnames(name="small_64D")
    values, directions = read_bvals_bvecs(str(bvals), str(bvecs))
    return gradient_table(values, bvecs=directions)


def regions(side: int) -> dict[str, Mask]:
    """Say where the tissues are: white matter inside, gray matter around it, air outside."""
    place = np.indices((side,) * 3) / (side - 1) * 2 - 1
    radius = np.sqrt((place**2 / np.array([0.8, 0.9, 0.75]).reshape(3, 1, 1, 1) ** 2).sum(axis=0))
    return {"white matter": radius < 0.65, "gray matter": (radius >= 0.65) & (radius < 1)}


def diffusivities(subject: int) -> dict[str, tuple[float, float]]:
    """Draw a subject's own diffusivities along and across the fibers."""
    factor = 1 + SPREAD * np.random.default_rng([subject, 0]).standard_normal()
    white, gray = ((along, across) for along, across, _ in TISSUES.values())
    return {"white matter": (white[0] * factor, white[1]), "gray matter": gray}


def true_anisotropy(subject: int) -> dict[str, float]:
    """Give the FA by region that a subject was made with."""
    return {
        region: float(fractional_anisotropy(np.array([along, across, across])))
        for region, (along, across) in diffusivities(subject).items()
    }


def scan(subject: int, side: int) -> Volume:
    """Make a synthetic head, shape ``(side, side, side, 65)``; its fibers go around one axis."""
    table = gradients()
    x, y, _ = np.indices((side,) * 3) - (side - 1) / 2
    angle = np.arctan2(y, x)
    fibers = np.stack([-np.sin(angle), np.cos(angle), np.zeros_like(angle)], axis=-1)
    cosine = fibers @ np.nan_to_num(table.bvecs).T
    head = np.zeros(cosine.shape)
    for region, where in regions(side).items():
        along, across = diffusivities(subject)[region]
        decay = across + (along - across) * cosine[where] ** 2
        head[where] = TISSUES[region][2] * np.exp(-table.bvals / 1000 * decay)
    real, imaginary = np.random.default_rng([subject, 1]).normal(0, NOISE, (2, *head.shape))
    return np.hypot(head + real, imaginary).astype(np.float32)


def find_mask(head: Volume) -> Mask:
    """Tell head from air, by the volume without diffusion."""
    _, mask = median_otsu(head[..., 0], median_radius=2, numpass=1)
    found: Mask = mask.astype(bool)
    return found


def denoise(head: Volume, mask: Mask, number: int) -> Volume:
    """Take the noise out of one volume."""
    volume = head[..., number]
    sigma = estimate_sigma(volume, N=1)
    clean: Volume = nlmeans(volume, sigma, mask=mask, num_threads=1).astype(np.float32)
    return clean


def fit(volumes: Sequence[Volume], mask: Mask, slab: slice) -> Volume:
    """Fit the tensor model to a slab of the head, and give its FA."""
    data = np.stack([volume[slab] for volume in volumes], axis=-1)
    anisotropy: Volume = TensorModel(gradients()).fit(data, mask=mask[slab]).fa.astype(np.float32)
    return anisotropy


def average(slabs: Sequence[Volume], mask: Mask) -> dict[str, float]:
    """Give a subject's mean FA by region, clear of its borders, where tissues blend."""
    anisotropy = np.concatenate(slabs)
    return {
        region: float(anisotropy[binary_erosion(where & mask)].mean())
        for region, where in regions(anisotropy.shape[0]).items()
    }


def overlap(mask: Mask) -> float:
    """Give the Dice coefficient of a mask and the head as it is: 1 if they are the same."""
    head = np.logical_or.reduce(list(regions(mask.shape[0]).values()))
    return float(2 * (mask & head).sum() / (mask.sum() + head.sum()))


def summarize(subjects: Sequence[tuple[dict[str, float], float]]) -> dict[str, NDArray[np.float64]]:
    """Bring the group together: by region the mean FA of each subject, and the overlaps."""
    means = [mean for mean, _ in subjects]
    table = {region: np.array([mean[region] for mean in means]) for region in TISSUES}
    return {**table, "mask": np.array([dice for _, dice in subjects])}


def build_subject(subject: int, side: int) -> tuple[Delayed, Delayed]:
    """Write down the pipeline of one subject: its mean FA by region, and its mask's overlap."""
    head = delayed(scan)(subject, side)
    mask = delayed(find_mask)(head)
    volumes = [delayed(denoise)(head, mask, number) for number in range(gradients().bvals.size)]
    cuts = np.linspace(0, side, SLABS + 1).astype(int)
    slabs = [
        delayed(fit)(volumes, mask, slice(int(start), int(stop))) for start, stop in pairwise(cuts)
    ]
    return delayed(average)(slabs, mask), delayed(overlap)(mask)


def build(subjects: int, side: int) -> Delayed:
    """Write down the pipelines of all subjects, and of the group; nothing runs yet."""
    return delayed(summarize)([build_subject(subject, side) for subject in range(subjects)])


def study(client: Client, subjects: int, side: int) -> dict[str, NDArray[np.float64]]:
    """Compute the group's mean FA by region, and the overlaps of the masks."""
    group: dict[str, NDArray[np.float64]] = client.compute(build(subjects, side)).result()
    return group


def report(group: dict[str, NDArray[np.float64]], side: int) -> None:
    """Print what was found beside what is true."""
    truths = [true_anisotropy(subject) for subject in range(group["mask"].size)]
    print(f"{len(truths)} synthetic heads of {side}³ voxels, {gradients().bvals.size} volumes each")
    print("region        true FA  found FA  largest difference")
    for region in TISSUES:
        true, found = np.array([truth[region] for truth in truths]), group[region]
        worst = np.abs(found - true).max()
        print(f"{region:<12} {true.mean():>8.3f} {found.mean():>9.3f} {worst:>19.3f}")
    print(f"masks overlap with the heads by {group['mask'].min():.3f} or more (1: the same)")


def measure(client: Client, counts: Sequence[int], side: int) -> list[float]:
    """Measure how long studies of so many subjects take, in seconds: the fastest of `REPEATS`."""
    study(client, 1, side)  # imports
    fastest = []
    for subjects in counts:
        seconds = []
        for _ in range(REPEATS):
            start = perf_counter()
            study(client, subjects, side)
            seconds.append(perf_counter() - start)
        fastest.append(min(seconds))
        print(f"{subjects:>3} subjects {fastest[-1]:>7.1f} s", flush=True)
    return fastest


def draw(path: Path, measured: dict[str, list[float]], counts: Sequence[int], caption: str) -> None:
    """Draw the paper's Figure 4: seconds by number of subjects, measured and published."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter

    figure = Figure(figsize=(9.5, 5.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for (name, seconds), color in zip(measured.items(), ("tab:blue", "tab:gray"), strict=True):
        left.plot(counts, seconds, "o-", color=color, label=name)
    colors = ("tab:gray", "tab:orange", "tab:green", "tab:red")
    for (name, seconds), color in zip(PUBLISHED.items(), colors, strict=True):
        label = f"{name}, published"
        right.plot(PUBLISHED_SUBJECTS, seconds, "s--", mfc="none", color=color, label=label)
    left.set_title("measured here: small synthetic heads")
    right.set_title("published: whole heads, on AWS")
    for axes, lines in ((left, measured), (right, PUBLISHED)):
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        # As many decades on both sides: the same slope means the same growth.
        lowest = 0.7 * min(np.nanmin(seconds) for seconds in lines.values())
        highest = 1.4 * max(np.nanmax(seconds) for seconds in lines.values())
        axes.set_ylim(lowest, max(highest, 30 * lowest))
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set_xticks(PUBLISHED_SUBJECTS, [str(count) for count in PUBLISHED_SUBJECTS])
        axes.set_xlabel("subjects")
        axes.set_ylabel("seconds")
        axes.grid(alpha=0.3)
        axes.legend(frameon=False, loc="upper left")
    figure.supxlabel(caption, fontsize=9, x=0.01, ha="left")
    figure.savefig(path, dpi=150)


def compare(engine: str | None, counts: Sequence[int], side: int, path: Path) -> None:
    """Measure dask_knot, and Dask's own `LocalCluster`, and draw both."""
    with KnotCluster(engine=engine) as cluster, Client(cluster) as client:
        jobs, name = cluster.settings.jobs, f"dask_knot, engine {cluster.settings.engine}"
        print(name)
        measured = {name: measure(client, counts, side)}
    with (
        LocalCluster(n_workers=jobs, threads_per_worker=1, dashboard_address=":0") as workers,
        Client(workers) as client,
    ):
        print("LocalCluster")
        measured["Dask's LocalCluster"] = measure(client, counts, side)
    sizes = {"side": side, "volumes": gradients().bvals.size}
    caption = CAPTION.format(**sizes, jobs=jobs, repeats=REPEATS)
    draw(path, measured, counts, caption)
    print(f"drawn: {path}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", help="what runs the jobs (default: as configured)")
    parser.add_argument("--subjects", type=int, default=3)
    parser.add_argument("--side", type=int, default=24, help="voxels of a head in each direction")
    parser.add_argument("--figure", type=Path, help="measure and draw the paper's Figure 4 here")
    parser.add_argument("--counts", type=int, nargs="+", default=list(PUBLISHED_SUBJECTS))
    args = parser.parse_args()
    if args.side < SMALLEST or min(args.subjects, *args.counts) < 1:
        parser.error(f"give at least one subject, and heads of {SMALLEST} voxels or more")
    if args.figure:
        compare(args.engine, args.counts, args.side, args.figure)
    else:
        with KnotCluster(engine=args.engine) as cluster, Client(cluster) as client:
            report(study(client, args.subjects, args.side), args.side)


if __name__ == "__main__":
    main()
