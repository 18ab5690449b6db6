"""Networks: encoders x -> h and decoders z -> output."""
