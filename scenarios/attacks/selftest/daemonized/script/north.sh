before() { python3 "$S/daemonize.py"; }
