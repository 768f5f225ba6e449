"""report.html: the result of `launch.solve` or `launch.reconstruct` as one page that needs no network.

* `page`: puts text, styles, scripts, libraries and data into one file.
* `scales`: says beside each number of the page what is good and what is bad.
* `templates`: fills in a template; `launch.serving` uses it as well.
* `table`, `table.html`, `table.css`, `table.js`: a page of its own with a table of many results.
* `frame.html`: what every page begins with. `page.html`, `page.css`, `page.js`: the parts that all reports share.
* `reconstruction.html`, `reconstruction.js`: the body of a report of `launch.reconstruct`.
* `solution.html`, `solution.js`: the body of a report of `launch.solve`.
* `crystal.html`, `crystal.js`: the body of a report of `launch.solve --reflections`.
* `print.js`: the report on paper.
* `elements.js`, `charts.js`, `sections.js`: page elements, charts of curves, sections of a map.
* `scene.js`, `surface.js`, `balls.js`, `sticks.js`: the 3D view, its surfaces, balls and bonds.
* `vendor`: the libraries 3Dmol and uPlot with their licences; `vendor/fetch` is the script that fetched them.
"""
