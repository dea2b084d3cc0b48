"""Backends: named ways to make a sink. A host asks the plugin manager for one; it never imports one."""
