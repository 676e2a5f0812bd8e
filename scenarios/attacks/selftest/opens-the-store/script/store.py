import os
import sqlite3

path = os.environ["GT_TOWN_ROOT"] + "/.beads/beads.db"
try:
    with sqlite3.connect(f"file:{path}?mode=rw", uri=True) as store:
        tables = [row[0] for row in store.execute("select name from sqlite_master where type = 'table'")]
        print("got through:", tables)
except sqlite3.Error as error:
    print(error)
