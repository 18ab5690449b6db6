"""What happens around training; nothing here touches the arithmetic."""
