"""The parts of the page, one module each: from what an experiment left to HTML."""
