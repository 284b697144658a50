"use strict"
// Sorting and filtering of the table of students; all else works without script.

const table = document.getElementById("students")
const body = table.tBodies[0]
const heads = [...table.tHead.rows[0].cells]

// The cell under a column. A broken file has one wide cell in the place of all tasks: no value.
function value(row, column) {
    const cells = row.cells
    const tasks = heads.length - cells.length
    if (tasks && column > 1) {
        if (column < 3 + tasks) return ""
        column -= tasks
    }
    return cells[column].textContent.trim()
}

// Numbers by size, what is not there last; words as people order them.
function order(numeric) {
    if (!numeric) return (a, b) => a.localeCompare(b, undefined, { numeric: true })
    const size = text => {
        const number = parseFloat(text)
        return Number.isNaN(number) ? (text === "·" ? -1 : -2) : number
    }
    return (a, b) => size(a) - size(b)
}

function sort(column) {
    const head = heads[column]
    const numeric = head.classList.contains("n")
    const before = head.getAttribute("aria-sort")
    const down = before ? before === "ascending" : numeric // the most points first
    const compare = order(numeric)
    const rows = [...body.rows].map(row => [value(row, column), row])
    rows.sort((a, b) => compare(a[0], b[0]) * (down ? -1 : 1))
    body.append(...rows.map(([, row]) => row))
    for (const other of heads) other.removeAttribute("aria-sort")
    head.setAttribute("aria-sort", down ? "descending" : "ascending")
}

heads.forEach((head, column) => {
    const button = document.createElement("button")
    button.type = "button"
    button.append(...head.childNodes)
    if (head.title) button.setAttribute("aria-label", `${head.textContent}${button.textContent} ${head.title}`)
    button.addEventListener("click", () => sort(column))
    head.append(button)
})
heads[0].setAttribute("aria-sort", "ascending")

const filter = document.getElementById("filter")
const found = document.getElementById("found")
filter.parentElement.hidden = false
filter.addEventListener("input", () => {
    const wanted = filter.value.trim().toLowerCase()
    let count = 0
    for (const row of body.rows) {
        const text = `${row.cells[0].textContent} ${row.cells[row.cells.length - 1].textContent}`
        row.hidden = !text.toLowerCase().includes(wanted)
        count += !row.hidden
    }
    found.textContent = wanted ? `${count} of ${body.rows.length}` : ""
})

// A link from the top opens what it leads to; paper shows what it can.
const opened = []
addEventListener("beforeprint", () => {
    for (const part of document.querySelectorAll("details.on-paper:not([open])")) {
        part.open = true
        opened.push(part)
    }
})
addEventListener("afterprint", () => opened.splice(0).forEach(part => (part.open = false)))
