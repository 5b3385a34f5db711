"""The `archcalc verify` command."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from archcalc.catalog import shipped
from archcalc.diagnostics import ArchError, error
from archcalc.executor.limits import refuse_too_large
from archcalc.network import Network
from archcalc.notes import note_objects
from archcalc.opened import Shapes
from archcalc.opening import open_net, open_network
from archcalc.profile import analyze
from archcalc.render import output as out
from archcalc.render.documents import json_text
from archcalc.render.progress import progress_bar
from archcalc.settings import DEFAULT, Settings
from archcalc.shape import format_shape
from archcalc.verify import view
from archcalc.verify.prove import Proof, Verified, verify

SMALL = 1_000_000_000
"""MACs up to which a network is verified at its declared input size."""

SMALL_IN_TRAINING = 40_000_000
"""The same for a training step, with two samples, double precision, and counted products."""

SMALLEST = 16
"""An axis of the input is not made shorter than this."""

SMALLEST_IN_TRAINING = 32
"""The same for a training step. On maps of one place, norms of three samples make gradients explode."""


def verify_and_print(
    nets: Sequence[str],
    all_: bool,
    settings: Settings,
    full: bool,
    seed: int,
    jobs: int,
    as_json: bool,
    training: bool = False,
) -> bool:
    """Verify networks and print the verdicts, with `training` those of a step. True if all of them hold.

    A network is made with the values and shapes of `settings`. If shapes are given, it is not scaled down.
    """
    if all_ == bool(nets):
        raise error("name networks, or write `--all`", help="`archcalc verify vgg16`")
    names = [spec.name for spec in shipped()] if all_ else list(map(settings.applied_to, nets))
    if all_ and settings != DEFAULT:
        raise error("`--set` and `--input` do not fit every network", help="name networks instead of `--all`")
    for name in names:
        open_net(name)
    outcomes = []
    with progress_bar(len(names), "Verifying") as advance:
        for outcome in _map(names, settings.inputs, full, seed, jobs, training):
            outcomes.append(outcome)
            advance(1)
    if as_json:
        out.write(json_text(networks=outcomes), None)
    else:
        out.write(view.render(outcomes, out.width(), out.colour()), None)
    return all(outcome.proof is not None and outcome.proof.held for outcome in outcomes)


def _map(
    names: Sequence[str], inputs: Shapes, full: bool, seed: int, jobs: int, training: bool
) -> Iterator[Verified]:
    workers = min(jobs or os.cpu_count() or 1, len(names))
    tasks = [(name, inputs, full or bool(inputs), seed, training) for name in names]
    if workers <= 1:
        yield from map(prove, tasks)
        return
    from archcalc.verify.workers import in_processes

    yield from in_processes(prove, tasks, workers, _killed)


Task = tuple[str, Shapes, bool, int, bool]
"""A network, the shapes of its inputs, whether it keeps its size, the seed, and whether it is trained."""


def _killed(task: Task) -> Verified:
    reason = "its process was killed, perhaps for lack of memory; `--jobs 1` uses the least"
    return Verified(task[0], "", problem=reason)


def prove(task: Task) -> Verified:
    """Verify one network, at a smaller input if the network is large and this is possible."""
    name, shapes, full, seed, training = task
    _, declared = open_network(name, None, shapes)
    limit, shortest = (SMALL_IN_TRAINING, SMALLEST_IN_TRAINING) if training else (SMALL, SMALLEST)
    network = declared if full else _scaled_down(name, declared, limit, shortest)
    scaled = network is not declared
    verified = Verified(
        name,
        _inputs(network),
        declared=_inputs(declared) if scaled else "",
        notes=note_objects(declared.notes),
    )
    try:
        refuse_too_large(network, 1, "float32", False)
        if training:
            from archcalc.verify.training import verify_training

            verified.proof = Proof(network.name, verify_training(network, seed))
        else:
            verified.proof = verify(network, seed=seed, declared=declared if scaled else None)
    except ArchError as problem:
        verified.problem = str(problem)
    except MemoryError:
        verified.problem = "a run of it does not fit in memory"
    return verified


def _inputs(network: Network) -> str:
    return ", ".join(format_shape(node.shape) for node in network.inputs.values())


def _scaled_down(name: str, network: Network, limit: int, shortest: int) -> Network:
    """The network with its maps shrunk by a quarter at a time, until it is small or cannot shrink further."""
    while analyze(network).totals.macs > limit:
        shapes = {name: node.shape for name, node in network.inputs.items()}
        smaller = {
            source: (shape[0], *(max(min(n, shortest), n * 3 // 4) for n in shape[1:]))
            for source, shape in shapes.items()
        }
        try:
            _, candidate = open_network(name, None, smaller)
        except ArchError:
            break
        if smaller == shapes or analyze(candidate).totals.macs == analyze(network).totals.macs:
            break
        network = candidate
    return network
