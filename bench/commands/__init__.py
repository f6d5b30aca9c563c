"""One file per command. At import they load nothing but typer; what a command needs is imported when it runs."""
