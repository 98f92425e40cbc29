"""The shipped graph: small on disk, and its look-up tables small in memory as well."""

import numpy as np
import onnxruntime
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("torch")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from guardian.training.export import shrink  # noqa: E402

RNG = np.random.default_rng(7)
TABLE, MATRIX = RNG.normal(size=(900, 16)).astype(np.float32), RNG.normal(size=(16, 600)).astype(np.float32)


def graph(*more: onnx.NodeProto, out: str = "out", also: tuple[str, ...] = ()) -> onnx.ModelProto:
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["rows"]),
        helper.make_node("MatMul", ["rows", "matrix"], ["out"]),
        *more,
    ]
    told = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ["n"])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", None]) for name in (out, *also)],
        [numpy_helper.from_array(TABLE, "table"), numpy_helper.from_array(MATRIX, "matrix")],
    )
    return helper.make_model(told, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def run(model: onnx.ModelProto, ids: list[int]) -> list[np.ndarray]:
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"ids": np.array(ids)})


def test_a_small_graph_computes_what_the_large_one_did() -> None:
    model = shrink(graph())
    (got,) = run(model, [0, 899, 7, 7])
    wanted = TABLE[[0, 899, 7, 7]] @ MATRIX
    assert np.abs(got - wanted).max() < 0.02 * np.abs(wanted).max()
    assert {t.data_type for t in model.graph.initializer if len(t.raw_data) > 9000} == {TensorProto.INT8}


def test_a_look_up_table_is_never_unpacked_as_a_whole() -> None:
    unpacked = [node.output[0] for node in shrink(graph()).graph.node if node.op_type == "DequantizeLinear"]
    assert unpacked == ["matrix"]


def test_a_table_that_is_also_multiplied_stays_whole() -> None:
    """Tied weights: the rows looked up and the matrix multiplied are the same numbers."""
    turned = helper.make_node("Transpose", ["table"], ["turned"], perm=[1, 0])
    product = helper.make_node("MatMul", ["rows", "turned"], ["tied"])
    model = shrink(graph(turned, product, also=("tied",)))
    _, tied = run(model, [3, 4])
    wanted = TABLE[[3, 4]] @ TABLE.T
    assert np.abs(tied - wanted).max() < 0.02 * np.abs(wanted).max()
