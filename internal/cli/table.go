package cli

import (
	"strings"

	"github.com/charmbracelet/lipgloss"
)

// table lays rows out in columns that line up.
type table struct {
	ink  ink
	rows [][]string
}

// newTable makes a table with a heading.
func newTable(i ink, heading ...string) *table {
	t := &table{ink: i}
	for n, title := range heading {
		heading[n] = i.faint(title)
	}
	t.rows = append(t.rows, heading)
	return t
}

func (t *table) add(cells ...string) {
	for n, cell := range cells {
		cells[n] = oneLine(cell)
	}
	t.rows = append(t.rows, cells)
}

// String is the table without a last line's end.
func (t *table) String() string {
	widths := columnWidths(t.rows)
	lines := make([]string, len(t.rows))
	for n, row := range t.rows {
		var line strings.Builder
		for column, cell := range row {
			line.WriteString(padded(cell, widths[column]+2))
		}
		lines[n] = strings.TrimRight(line.String(), " ")
	}
	return strings.Join(lines, "\n")
}

// or is the table, or where it has no rows what that means.
func (t *table) or(empty string) string {
	if len(t.rows) == 1 {
		return empty
	}
	return t.String()
}

func columnWidths(rows [][]string) []int {
	var widths []int
	for _, row := range rows {
		for column, cell := range row {
			if column == len(widths) {
				widths = append(widths, 0)
			}
			widths[column] = max(widths[column], lipgloss.Width(cell))
		}
	}
	return widths
}

// padded fills a cell up; a colour takes no room.
func padded(cell string, width int) string {
	return cell + strings.Repeat(" ", max(0, width-lipgloss.Width(cell)))
}
