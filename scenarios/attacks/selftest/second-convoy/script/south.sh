before() { sleep 60; }
