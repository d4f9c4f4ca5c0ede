"""What every floor needs: checked arguments, files written whole, progress, a quiet console, scripts."""
