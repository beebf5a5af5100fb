// Retry in Flower's pages. It uses what Flower's own script uses and has loaded: jQuery, Bootstrap, DataTables, and the
// token that Flower adds to every request that changes something.
(function () {
    "use strict";

    const FINISHED = ["SUCCESS", "FAILURE", "REVOKED"];
    // The server answers for this many tasks at once.
    const CHUNK = 100;
    // One after the other would wait for the network most of the time; many more would only wait for the server.
    const AT_ONCE = 4;
    const POLL_MILLISECONDS = 1000;
    const MOST_ERRORS_SHOWN = 5;

    const prefix = (function () {
        const given = ($("#url_prefix").val() || "").replace(/^\/+|\/+$/g, "");
        return given ? "/" + given : "";
    }());

    function pause(milliseconds) {
        return new Promise(function (done) { window.setTimeout(done, milliseconds); });
    }

    function words(failed) {
        return failed.responseText || (failed.status ? "Flower answered " + failed.status : "Flower does not answer");
    }

    function retry(taskId) {
        return $.ajax({type: "POST", url: prefix + "/api/task/retry/" + encodeURIComponent(taskId), dataType: "json"});
    }

    async function statuses(taskIds) {
        const found = {};
        for (let start = 0; start < taskIds.length; start += CHUNK) {
            const query = $.param({task_id: taskIds.slice(start, start + CHUNK)}, true);
            Object.assign(found, (await $.getJSON(prefix + "/api/task/retries?" + query)).tasks);
        }
        return found;
    }

    function taskLink(taskId) {
        return $("<a>").attr("href", prefix + "/task/" + encodeURIComponent(taskId)).text(taskId);
    }

    function when(moment) {
        return moment.replace("T", " ").replace("+00:00", " UTC");
    }

    // ---- the page of one task

    function note(kind, ...content) {
        return $("<div class='alert mb-2' role='status'>").addClass("alert-" + kind).append(...content);
    }

    function describeTask(taskId, status, notes) {
        notes.empty();
        if (status["retry-of"]) {
            const earlier = status["retry-of"];
            notes.append(note("info", "A retry of ", taskLink(earlier["retry-of"]), ", asked for by ",
                $("<strong>").text(earlier.by), " at " + when(earlier.at) + "."));
        }
        if (status.reason) {
            notes.append(note("danger", $("<strong>Why it failed: </strong>"), document.createTextNode(status.reason)));
        }
        if (status.retried) {
            notes.append(note("success", "Retried by ", $("<strong>").text(status.retried.by),
                " at " + when(status.retried.at) + " as ", taskLink(status.retried["task-id"]),
                " (", $("<span class='dust-state'>").text(status.retried.state), ")."));
        }
    }

    async function followTask(taskId, notes) {
        for (;;) {
            const status = (await statuses([taskId]))[taskId];
            describeTask(taskId, status, notes);
            if (!status.retried || FINISHED.includes(status.retried.state)) {
                return status;
            }
            await pause(POLL_MILLISECONDS);
        }
    }

    async function showTaskPage(taskId) {
        const notes = $("<div id='dust-notes'>").insertAfter("#task-page .detail-page-header");
        const button = $("<button type='button' class='btn btn-warning' id='dust-retry'>Retry</button>");
        button.on("click", async function () {
            button.prop("disabled", true);
            try {
                await retry(taskId);
                button.remove();
                await followTask(taskId, notes);
            } catch (failed) {
                notes.append(note("warning", document.createTextNode(words(failed))));
                button.prop("disabled", false);
            }
        });
        try {
            const status = (await statuses([taskId]))[taskId];
            if (status.retryable) {
                $("#task-page .detail-actions").append(button);
            }
            await followTask(taskId, notes);
        } catch (failed) {
            notes.append(note("warning", document.createTextNode("No Retry now: " + words(failed))));
        }
    }

    // ---- many at once

    // Without Bootstrap's `fade`: a modal ignores its Close button while it fades in.
    const DIALOG = `
        <div class="modal" id="dust-progress" tabindex="-1" data-bs-backdrop="static" data-bs-keyboard="false"
             aria-labelledby="dust-progress-title">
          <div class="modal-dialog modal-dialog-centered"><div class="modal-content">
            <div class="modal-header"><h2 class="modal-title fs-5" id="dust-progress-title"></h2></div>
            <div class="modal-body">
              <div class="progress mb-3" role="progressbar" aria-labelledby="dust-progress-title" aria-valuemin="0">
                <div class="progress-bar bg-success dust-bar-succeeded"></div>
                <div class="progress-bar bg-danger dust-bar-failed"></div>
                <div class="progress-bar progress-bar-striped progress-bar-animated dust-bar-sent"></div>
              </div>
              <p class="dust-counts mb-2" role="status"></p>
              <ul class="dust-errors small text-danger mb-0"></ul>
            </div>
            <div class="modal-footer">
              <button type="button" class="btn btn-outline-secondary dust-stop">Stop</button>
              <button type="button" class="btn btn-primary dust-close" data-bs-dismiss="modal" disabled>Close</button>
            </div>
          </div></div>
        </div>`;

    class Progress {
        constructor(total) {
            this.total = total;
            this.sent = 0;
            this.refused = 0;
            this.succeeded = 0;
            this.failed = 0;
            this.stopped = false;
            this.dialog = $(DIALOG).appendTo("body");
            this.dialog.find(".modal-title").text("Retrying " + total + (total === 1 ? " task" : " tasks"));
            this.dialog.find(".dust-stop").on("click", () => { this.stopped = true; });
            this.dialog.on("hidden.bs.modal", () => { this.stopped = true; this.dialog.remove(); });
            new bootstrap.Modal(this.dialog[0]).show();
            this.show();
        }

        refuse(taskId, why) {
            this.refused += 1;
            if (this.refused <= MOST_ERRORS_SHOWN) {
                this.dialog.find(".dust-errors").append($("<li>").append(taskLink(taskId), document.createTextNode(": " + why)));
            }
        }

        show() {
            const width = (part) => 100 * part / this.total + "%";
            const waiting = this.sent - this.succeeded - this.failed;
            this.dialog.find(".dust-bar-succeeded").css("width", width(this.succeeded));
            this.dialog.find(".dust-bar-failed").css("width", width(this.failed + this.refused));
            this.dialog.find(".dust-bar-sent").css("width", width(waiting));
            this.dialog.find(".progress").attr({"aria-valuemax": this.total, "aria-valuenow": this.succeeded + this.failed});
            const counts = [`${this.sent} of ${this.total} sent`, `${this.succeeded} succeeded`, `${this.failed} failed`];
            if (this.refused) {
                counts.push(`${this.refused} not sent`);
            }
            if (waiting) {
                counts.push(`${waiting} under way`);
            }
            this.dialog.find(".dust-counts").text(counts.join(" · "));
        }

        finish() {
            this.show();
            this.dialog.find(".dust-stop").remove();
            this.dialog.find(".dust-close").prop("disabled", false).trigger("focus");
            this.dialog.attr("data-finished", "true");
        }
    }

    async function sendAll(taskIds, progress) {
        const waiting = taskIds.slice();
        const sent = [];
        async function sendSome() {
            while (waiting.length && !progress.stopped) {
                const taskId = waiting.shift();
                try {
                    await retry(taskId);
                    sent.push(taskId);
                    progress.sent += 1;
                } catch (failed) {
                    progress.refuse(taskId, words(failed));
                }
                progress.show();
            }
        }
        await Promise.all(Array.from({length: AT_ONCE}, sendSome));
        return sent;
    }

    async function followAll(taskIds, progress) {
        let open = taskIds;
        while (open.length && !progress.stopped) {
            const found = await statuses(open);
            const state = (taskId) => found[taskId].retried.state;
            progress.succeeded += open.filter((taskId) => state(taskId) === "SUCCESS").length;
            progress.failed += open.filter((taskId) => ["FAILURE", "REVOKED"].includes(state(taskId))).length;
            open = open.filter((taskId) => !FINISHED.includes(state(taskId)));
            progress.show();
            if (open.length) {
                await pause(POLL_MILLISECONDS);
            }
        }
    }

    async function retryMany(taskIds) {
        const progress = new Progress(taskIds.length);
        try {
            await followAll(await sendAll(taskIds, progress), progress);
        } catch (failed) {
            progress.dialog.find(".dust-errors").append($("<li>").text(words(failed)));
        }
        progress.finish();
    }

    // ---- the list of tasks

    const BAR = `
        <div id="dust-retry-bar" class="d-flex flex-wrap gap-2 my-3">
          <button type="button" class="btn btn-sm btn-warning" id="dust-retry-selected" disabled>Retry selected</button>
          <div class="dropdown">
            <button type="button" class="btn btn-sm btn-warning dropdown-toggle" id="dust-retry-kinds"
                    data-bs-toggle="dropdown" aria-expanded="false">Retry all failed …</button>
            <ul class="dropdown-menu" aria-labelledby="dust-retry-kinds"></ul>
          </div>
          <span id="dust-retry-problem" class="small text-danger align-self-center" role="alert"></span>
        </div>`;

    function showList(table) {
        const selected = new Set();
        const bar = $(BAR).insertAfter(".task-state-filters");
        const problem = bar.find("#dust-retry-problem");
        const selectedButton = bar.find("#dust-retry-selected");

        function showSelected() {
            selectedButton.prop("disabled", selected.size === 0)
                .text(selected.size ? `Retry selected (${selected.size})` : "Retry selected");
        }

        async function retryAndRedraw(taskIds) {
            taskIds.forEach((taskId) => selected.delete(taskId));
            showSelected();
            await retryMany(taskIds);
            table.DataTable().draw(false);
        }

        function decorate(row, taskId, status) {
            const badge = row.find(".badge").first();
            if (row.find(".dust-retry, .dust-retried").length) {
                return;
            }
            if (status.retried) {
                badge.after($("<a class='d-block mt-1 small dust-retried'>retried</a>")
                    .attr("href", prefix + "/task/" + encodeURIComponent(status.retried["task-id"]))
                    .attr("title", `by ${status.retried.by} at ${when(status.retried.at)}: ${status.retried.state}`));
            } else if (status.retryable) {
                const box = $("<input type='checkbox' class='form-check-input me-2 dust-select'>")
                    .attr("aria-label", "Select task " + taskId).prop("checked", selected.has(taskId));
                box.on("change", function () {
                    selected[box.prop("checked") ? "add" : "delete"](taskId);
                    showSelected();
                });
                const button = $("<button type='button' class='btn btn-sm btn-warning d-block mx-auto mt-1 py-0 dust-retry'>")
                    .text("Retry").attr("data-task", taskId);
                button.on("click", function () { retryAndRedraw([taskId]); });
                row.children().first().prepend(box);
                badge.after(button);
            }
        }

        async function decorateRows() {
            const rows = {};
            table.find("tbody tr").each(function () {
                const task = table.DataTable().row(this).data();
                if (task && task.state === "FAILURE") {
                    rows[task.uuid] = $(this);
                }
            });
            try {
                problem.text("");
                const found = await statuses(Object.keys(rows));
                Object.entries(rows).forEach(([taskId, row]) => decorate(row, taskId, found[taskId]));
            } catch (failed) {
                problem.text("No Retry now: " + words(failed));
            }
        }

        async function fillKinds() {
            const menu = bar.find(".dropdown-menu").empty();
            try {
                const kinds = Object.entries((await $.getJSON(prefix + "/api/task/failed")).kinds);
                kinds.forEach(function ([name, taskIds]) {
                    $("<button type='button' class='dropdown-item'>").text(`${name} (${taskIds.length})`)
                        .attr("data-kind", name).on("click", () => retryAndRedraw(taskIds))
                        .appendTo($("<li>").appendTo(menu));
                });
                if (!kinds.length) {
                    menu.append("<li><span class='dropdown-item-text text-secondary'>Nothing waits for a retry.</span></li>");
                }
            } catch (failed) {
                menu.append($("<li><span class='dropdown-item-text text-danger'></span></li>").text(words(failed)));
            }
        }

        selectedButton.on("click", () => retryAndRedraw(Array.from(selected)));
        bar.find(".dropdown").on("show.bs.dropdown", fillKinds);
        table.on("draw.dt", decorateRows);
        decorateRows();
    }

    $(function () {
        const taskId = $("#taskid").text();
        if (taskId) {
            showTaskPage(taskId);
        }
        if ($("#tasks-table").length) {
            showList($("#tasks-table"));
        }
    });
}());
