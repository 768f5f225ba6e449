"""A launch for the tests of the queue: python -m toy_job says|sleeps|refuses|breaks."""

import pathlib
import sys
import time

if __name__ == "__main__":
    what = sys.argv[1]
    result = pathlib.Path("result")
    result.mkdir(exist_ok=True)
    print(f"toy job: {what}", flush=True)
    if what == "says":
        (result / "log.json").write_text("{}\n")
        (result / "report.html").write_text("<title>toy</title><script>1</script>")
        (result / ".half").write_text("not for anybody")
        pathlib.Path("progress.jsonl").write_text('{"generation": 0}\n{"generation": 5}\n{"gene')
    elif what == "sleeps":
        time.sleep(600)
    elif what == "refuses":
        sys.exit("toy_job: curve: only 3 usable points, at least 10 are needed")
    else:
        raise RuntimeError("a fault of ours")
