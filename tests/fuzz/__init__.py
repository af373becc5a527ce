"""Whatever strangers send is read or refused: a quick part in each run, a long one by `make fuzz`."""
