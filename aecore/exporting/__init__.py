"""A trained model as files that others open: safetensors, ONNX, PyTorch's own programs."""
