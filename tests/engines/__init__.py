"""The engines that tests run on: real ones, on free ports, in folders of their own."""
