"""What fits beside what runs."""

from __future__ import annotations

from dask_knot.local.capacity import Capacity, Ledger


def test_fractions_of_vcpus_add_up() -> None:
    ledger = Ledger(Capacity(1, 1000))
    for _ in range(10):
        assert ledger.fits(Capacity(0.1, 100))
        ledger.take(Capacity(0.1, 100))
    assert not ledger.fits(Capacity(0.1, 0))


def test_memory_is_a_limit_too() -> None:
    ledger = Ledger(Capacity(4, 1000))
    ledger.take(Capacity(1, 800))
    assert not ledger.fits(Capacity(1, 300))
    ledger.give_back(Capacity(1, 800), ())
    assert ledger.fits(Capacity(1, 300))


def test_gpus_are_distinct_and_given_again() -> None:
    ledger = Ledger(Capacity(8, 8000, gpus=3))
    first, second = ledger.take(Capacity(1, 1, 2)), ledger.take(Capacity(1, 1, 1))
    assert sorted((*first, *second)) == [0, 1, 2]
    assert not ledger.fits(Capacity(1, 1, 1))
    ledger.give_back(Capacity(1, 1, 2), first)
    assert ledger.take(Capacity(1, 1, 2)) == first


def test_less_capacity_than_is_taken_is_none() -> None:
    ledger = Ledger(Capacity(4, 4000))
    ledger.take(Capacity(3, 3000))
    ledger.total = Capacity(2, 2000)
    assert not ledger.fits(Capacity(0.25, 1))
