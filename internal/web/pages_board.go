package web

import (
	"net/http"
	"slices"
	"time"

	"github.com/a-h/templ"

	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/access"
	"github.com/towpath-cd/towpath/internal/flow"
	"github.com/towpath-cd/towpath/internal/web/page"
)

// boardPace is how often a board that somebody looks at is read again at most: with hundreds of services something changes
// all the time.
const boardPace = 2 * time.Second

func (s *Server) boardPage(c call[none]) (templ.Component, error) {
	view, err := s.boardView(c)
	if err == nil {
		view.Shown, err = shown(c.Context(), boardParts(view))
	}
	return page.EnvironmentBoard(view), err
}

func (s *Server) boardView(c call[none]) (view page.Board, err error) {
	view.Frame = s.frame(c.Caller, "/environments", "Environments")
	if view.Filter, err = boardFilter(c.Request); err != nil {
		return view, err
	}
	asked := view.Filter
	asked.State = ""
	whole, err := s.boardFor(c, asked)
	if err != nil {
		return view, err
	}
	for _, state := range boardStates {
		isIt := func(row client.BoardRow) bool { return !isWanted(row, client.BoardFilter{State: state}) }
		count := len(slices.DeleteFunc(slices.Clone(whole.Services), isIt))
		view.States = append(view.States, page.BoardState{Name: state, Services: count})
	}
	view.Board = narrowed(whole, view.Filter)
	return view, nil
}

// narrowed leaves out what is in another state than the one that was asked for.
func narrowed(b client.Board, f client.BoardFilter) client.Board {
	b.Services = slices.DeleteFunc(b.Services, func(row client.BoardRow) bool { return !isWanted(row, f) })
	return b
}

// boardParts are the parts of the board that are sent again when they change: each row, and all where rows come or go.
func boardParts(view page.Board) []part {
	parts := []part{
		{name: "counts", shown: page.BoardCounts(view)},
		{name: "board", shown: page.BoardTable(view), of: view.Rows()},
	}
	for _, s := range view.Board.Services {
		parts = append(parts, part{name: page.RowEvent(s), shown: page.BoardRow(view, s)})
	}
	return parts
}

// followBoard sends the parts of the board for as long as somebody looks.
func (s *Server) followBoard(w http.ResponseWriter, r *http.Request, caller access.Caller) {
	c := call[none]{Request: r, Caller: caller}
	if _, err := s.boardView(c); err != nil {
		s.fail(w, r, err)
		return
	}
	s.followAtMost(w, r, flow.TopicEnvironments, boardPace, func() ([]part, bool, error) {
		view, err := s.boardView(c)
		return boardParts(view), false, err
	})
}
