import json
import os
import urllib.request

base = os.environ["ANTHROPIC_BASE_URL"].split("/a/")[0]
body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Nobody knows this."}]}
for who in ("north%2Frefinery", "north%2Fpolecats%2Fghost", "south%2Fpolecats%2Frust", "south%2Fpolecats%2Fnux", "mayor", "x"):
    for token in ("", "/" + "0" * 32):
        for path in ("/v1/messages", "/v1/responses"):
            request = urllib.request.Request(f"{base}/a/{who}{token}{path}", json.dumps(body).encode(), {"content-type": "application/json"})
            try:
                print(who, token, path, urllib.request.urlopen(request, timeout=5).status)
            except OSError as error:
                print(who, token, path, error)
