"""The engines of the tests: real ones, on free ports, each in a folder of its own."""
