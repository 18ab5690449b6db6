"""A trained model as files for other programs: safetensors, ONNX, torch.export."""
