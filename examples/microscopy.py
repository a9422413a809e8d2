"""Moving spots under a microscope: a Java program finds them, Python links and measures them.

The Cloudknot paper tracked particles with a Java program in a Docker image of its own. This example
uses ImageJ, which is a Debian package. On AWS and in containers it goes into the jobs' image; on
this machine you have to install it.

The films are synthetic, so we know how many spots there are and how they move: with a flow, and at
random (diffusion). Some films are ten times as long as others.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import dask
import numpy as np
from dask import delayed
from dask.delayed import Delayed
from distributed import Client, Future
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.optimize import linear_sum_assignment

from dask_knot import KnotCluster

Film = NDArray[np.uint16]
#: Spots, one a row: frame, x, y.
Spots = NDArray[np.float64]
#: Where each spot of a track is, shape (frames, 2).
Track = NDArray[np.float64]
#: What Debian calls ImageJ's library, and a Java with its compiler.
DEBIAN = ("libij-java", "default-jdk-headless")
IMAGEJ = Path("/usr/share/java/ij.jar")
#: Pixels of a film in each direction, and how wide a spot is.
SIDE, WIDTH = 160, 1.5
#: No spot moves farther than that from frame to frame, in pixels.
REACH = 8
LAGS = np.arange(1, 6)

FIND_SPOTS = """\
import ij.plugin.filter.GaussianBlur;
import ij.plugin.filter.MaximumFinder;
import ij.process.FloatProcessor;
import java.awt.Polygon;
import java.io.PrintWriter;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;

public class FindSpots {
    public static void main(String[] given) throws Exception {
        int side = Integer.parseInt(given[2]), pixels = side * side;
        ByteBuffer film = ByteBuffer.wrap(Files.readAllBytes(Path.of(given[0])));
        film.order(ByteOrder.LITTLE_ENDIAN);
        int frames = film.capacity() / 2 / pixels, all = 0;
        try (PrintWriter found = new PrintWriter(given[1])) {
            for (int frame = 0; frame < frames; frame++) {
                float[] values = new float[pixels];
                for (int at = 0; at < pixels; at++) values[at] = film.getShort() & 0xffff;
                FloatProcessor image = new FloatProcessor(side, side, values);
                new GaussianBlur().blurGaussian(image, 1.5);
                Polygon spots = new MaximumFinder().getMaxima(image, 100, true);
                for (int spot = 0; spot < spots.npoints; spot++)
                    found.printf("%d %d %d%n", frame, spots.xpoints[spot], spots.ypoints[spot]);
                all += spots.npoints;
            }
        }
        System.out.printf("ImageJ %s: %d spots in %d frames%n", ij.IJ.getVersion(), all, frames);
        System.exit(0); // ImageJ's threads would go on
    }
}
"""


@dataclass(frozen=True)
class Motion:
    """The spots of a film, and how they move.

    Attributes
    ----------
    spots : float
        How many there are in a frame.
    speed : float
        The speed of the flow, in pixels a frame.
    diffusion : float
        The coefficient of diffusion, in pixels² a frame.
    """

    spots: float
    speed: float
    diffusion: float


def frames_of(film: int, frames: int) -> int:
    """Say how many frames a film has: each fourth is ten times as long as the others."""
    return frames * 10 if film % 4 == 3 else frames


def true_motion(film: int) -> Motion:
    """Give the number of spots, and the motion, that a film is made with."""
    return Motion(spots=12 + film % 5, speed=0.1 * (film % 3), diffusion=0.3 + 0.2 * (film % 4))


def walk(film: int, frames: int) -> NDArray[np.float64]:
    """Give the true places of all spots, shape ``(frames, spots, 2)``."""
    true, rng = true_motion(film), np.random.default_rng([film, 0])
    steps = rng.normal(0, np.sqrt(2 * true.diffusion), (frames, int(true.spots), 2))
    steps[..., 0] += true.speed
    # Far apart at first, on a grid; who comes to a border comes back in at the other one.
    cells = rng.permutation(25)[: int(true.spots)]
    steps[0] = (np.stack([cells % 5, cells // 5], axis=-1) + 0.5) * SIDE / 5
    return np.cumsum(steps, axis=0) % SIDE


def record(film: int, frames: int) -> Film:
    """Make a film, shape ``(frames, SIDE, SIDE)``: blurred spots, and noise."""
    rng = np.random.default_rng([film, 1])
    images = np.empty((frames, SIDE, SIDE), np.uint16)
    for image, places in zip(images, walk(film, frames), strict=True):
        light = np.zeros((SIDE, SIDE))
        x, y = places.astype(int).T
        np.add.at(light, (y, x), 1000 * 2 * np.pi * WIDTH**2)
        image[:] = rng.poisson(100 + gaussian_filter(light, WIDTH, mode="wrap"))
    return images


def missing() -> list[str]:
    """Say which of Debian's packages are missing on this machine."""
    found = {"libij-java": IMAGEJ.exists(), "default-jdk-headless": shutil.which("javac")}
    return [package for package in DEBIAN if not found[package]]


def compile_program(source: str) -> bytes:
    """Compile the Java program where it will run; a task like any other."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "FindSpots.java").write_text(source)
        javac = ["javac", "-encoding", "UTF-8", "-cp", str(IMAGEJ), "FindSpots.java"]
        subprocess.run(javac, cwd=folder, check=True)
        return Path(folder, "FindSpots.class").read_bytes()


def find_spots(program: bytes, film: Film) -> Spots:
    """Let ImageJ find the spots of a film; what it prints is in the log of the job."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "FindSpots.class").write_bytes(program)
        Path(folder, "film").write_bytes(film.astype("<u2").tobytes())
        java = ["java", "-Djava.awt.headless=true", "-XX:+UseSerialGC", "-Xmx200m"]
        arguments = ["-cp", f"{IMAGEJ}:.", "FindSpots", "film", "spots", str(SIDE)]
        subprocess.run([*java, *arguments], cwd=folder, check=True)
        return np.loadtxt(Path(folder, "spots"), ndmin=2).reshape(-1, 3)


def link(spots: Spots, frames: int) -> list[Track]:
    """Link the spots of each frame to those of the next one, so that together they move least."""
    open_tracks: list[list[NDArray[np.float64]]] = []
    closed: list[list[NDArray[np.float64]]] = []
    for frame in range(frames):
        here = spots[spots[:, 0] == frame, 1:]
        ends = np.array([track[-1] for track in open_tracks]).reshape(-1, 2)
        distance = np.linalg.norm(ends[:, None] - here[None], axis=-1)
        # Beyond their reach, all distances are the same.
        pairs = zip(*linear_sum_assignment(np.minimum(distance, REACH)), strict=True)
        linked = {new: old for old, new in pairs if distance[old, new] < REACH}
        old_ones = set(range(len(open_tracks))) - set(linked.values())
        closed += [open_tracks[old] for old in old_ones]
        open_tracks = [
            [*(open_tracks[linked[new]] if new in linked else ()), place]
            for new, place in enumerate(here)
        ]
    return [np.array(track) for track in (*closed, *open_tracks)]


def mean_squares(tracks: Sequence[Track]) -> NDArray[np.float64]:
    """Give the mean squared displacement for each of `LAGS`, in pixels²."""
    means = []
    for lag in LAGS:
        moves = np.concatenate([track[lag:] - track[:-lag] for track in tracks])
        means.append((moves**2).sum(axis=1).mean())
    return np.array(means)


def measure(tracks: Sequence[Track], frames: int) -> Motion:
    """Find out how spots move: all in one direction, and how the mean square of the rest grows."""
    long = [track for track in tracks if len(track) > LAGS[-1]]
    flow = np.concatenate([np.diff(track, axis=0) for track in long]).mean(axis=0)
    still = [track - flow * np.arange(len(track))[:, None] for track in long]
    growth, _ = np.polyfit(LAGS, mean_squares(still), 1)
    spots = sum(len(track) for track in tracks) / frames
    return Motion(spots, float(np.linalg.norm(flow)), float(growth) / 4)


def build(films: int, frames: int) -> list[Delayed]:
    """Describe what to do with each film. Nothing runs yet."""
    motions, program = [], delayed(compile_program)(FIND_SPOTS)
    for film in range(films):
        length = frames_of(film, frames)
        spots = delayed(find_spots)(program, delayed(record)(film, length))
        motions.append(delayed(measure)(delayed(link)(spots, length), length))
    return motions


def study(client: Client, films: int, frames: int) -> list[Future]:
    """Start the work on all films."""
    futures: list[Future] = client.compute(build(films, frames))
    return futures


def report(motions: Sequence[Motion], frames: int) -> None:
    """Print what was found next to the truth."""
    print("film frames  spots (true)  speed (true)  diffusion (true)")
    for film, found in enumerate(motions):
        true = true_motion(film)
        print(
            f"{film:>4} {frames_of(film, frames):>6}"
            f"  {found.spots:>5.1f} {f'({true.spots:.0f})':>6}"
            f"  {found.speed:>5.2f} {f'({true.speed:.1f})':>6}"
            f"  {found.diffusion:>9.2f} {f'({true.diffusion:.1f})':>6}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", help="what runs the jobs (default: as configured)")
    parser.add_argument("--films", type=int, default=6)
    parser.add_argument("--frames", type=int, default=40, help="in most films (some: 10 times)")
    args = parser.parse_args()
    if args.films < 1 or args.frames <= 2 * LAGS[-1]:
        parser.error(f"give at least one film, of more than {2 * LAGS[-1]} frames")
    with (
        # What `dask knot image --debian` says, for engines that run containers.
        dask.config.set({"knot.build.debian": list(DEBIAN)}),
        KnotCluster(engine=args.engine) as cluster,
    ):
        if cluster.settings.engine == "local" and missing():
            sys.exit(f"Java or ImageJ is missing here: apt-get install {' '.join(missing())}")
        with Client(cluster) as client:
            futures = study(client, args.films, args.frames)
            report(client.gather(futures), args.frames)
            log = "".join(cluster.logs(futures[0]).values())
            print(*(line for line in log.splitlines() if line.startswith("ImageJ")), sep="\n")


if __name__ == "__main__":
    main()
