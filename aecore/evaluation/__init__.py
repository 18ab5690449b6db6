"""What a trained model is worth: metrics and figures."""
