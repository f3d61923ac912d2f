"""Trained models for programs that do without chainrule: as NumPy source, and in the ONNX format."""

from chainrule.export.onnx_model import onnx
from chainrule.export.standalone import numpy_source

__all__ = ["numpy_source", "onnx"]
