"""The tests mirror the modules; the end-to-end scenarios stand beside them."""
