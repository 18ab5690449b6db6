"""The formats that hold a traced program: how one is written, and how it is run again."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.export import Dim, ExportedProgram

from aecore.tasks.exporting.packages import Format
from aecore.tasks.exporting.pieces import Piece

Run = Callable[[tuple[Tensor, ...]], Tensor]


@dataclass(frozen=True)
class Program:
    """A file format for programs.

    suffix: of its files. write: writes a program; raises whatever its exporter raises.
    read: gives the function of a file, on CPU tensors.
    """

    suffix: str
    write: Callable[[ExportedProgram, Piece, Path], None]
    read: Callable[[Path, Piece], Run]


def _write_onnx(program: ExportedProgram, piece: Piece, path: Path) -> None:
    made = torch.onnx.export(
        program,
        dynamo=True,
        verbose=False,
        input_names=list(piece.takes),
        output_names=[piece.makes],
        dynamic_shapes={name: {0: "batch"} for name in piece.takes},
    )
    assert made is not None
    for node in made.model.graph:
        node.metadata_props.clear()  # where in this machine's files each came from
    made.save(str(path), external_data=False)


def _read_onnx(path: Path, piece: Piece) -> Run:
    from onnxruntime import InferenceSession, SessionOptions

    options = SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 4
    session = InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def run(inputs: tuple[Tensor, ...]) -> Tensor:
        arrays = (value.numpy() for value in inputs)
        (answer,) = session.run([piece.makes], dict(zip(piece.takes, arrays, strict=True)))
        return torch.from_numpy(answer)

    return run


def _write_torch(program: ExportedProgram, piece: Piece, path: Path) -> None:
    torch.export.save(program, path)


def _read_torch(path: Path, piece: Piece) -> Run:
    module = torch.export.load(path).module()
    return lambda inputs: module(*inputs)


PROGRAMS: dict[Format, Program] = {
    "onnx": Program(".onnx", _write_onnx, _read_onnx),
    "torch": Program(".pt2", _write_torch, _read_torch),
}


def trace(piece: Piece) -> ExportedProgram:
    """The operations of a piece on any number of images; raises whatever torch.export raises."""
    two = torch.tensor([0, -1])
    batch = Dim("batch")
    program = torch.export.export(
        piece.module,
        tuple(value[two] for value in piece.inputs),
        dynamic_shapes=tuple({0: batch} for _ in piece.inputs),
        strict=False,
    )
    return _lean(program)


def _lean(program: ExportedProgram) -> ExportedProgram:
    """The program without weights that it never reads, images and paths of this machine."""
    signature = program.graph_signature
    named = {
        **signature.inputs_to_parameters,
        **signature.inputs_to_buffers,
        **signature.inputs_to_lifted_tensor_constants,
    }
    for node in list(program.graph.find_nodes(op="placeholder")):
        if node.name in named and not node.users:
            program.graph.erase_node(node)
            program.state_dict.pop(named[node.name], None)
            program.constants.pop(named.pop(node.name), None)
    kept = {node.name for node in program.graph.find_nodes(op="placeholder")}
    signature.input_specs = [spec for spec in signature.input_specs if spec.arg.name in kept]
    program.graph_module.recompile()
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)
    program.example_inputs = None
    return program


@contextmanager
def silent() -> Iterator[None]:
    """Suppress the output of the exporters, which warn about their internals."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
