"""The local web page of `launch.serve`.

* `web`: the routes: pages, uploads, jobs, their events and files.
* `guard`: refuses requests from other sites, and limits what a browser may do with a response.
* `jobs`: stores jobs and uploads in one SQLite file and a folder.
* `queue`: runs the jobs one at a time, each launch in a process of its own.
* `commands`: the settings that a job may have, and the launches that it becomes.
* `worker`: the process of one launch, which ends with the server.
* `truth`: compares the atoms found with those of a random case.
* `reading`: describes an uploaded file before anything is computed.
* `crystals`: describes the files of a crystal, which are read together.
* `events`: streams the progress of a job as server-sent events.
* `frame`: sends the files of a result, and the report for a frame of the page.
* `static`: the pages, their scripts and styles.
"""
