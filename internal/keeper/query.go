package keeper

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/api"
	prometheus "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"

	"github.com/towpath-cd/towpath"
)

func nameOfQuery(n, all int) string {
	if all == 1 {
		return "the query"
	}
	return "query " + strconv.Itoa(n+1)
}

// query asks a Prometheus. What cannot be asked says nothing: a monitoring that is down is no fault of the release.
func (p *performer) query(q towpath.QueryDefinition, e towpath.Environment) look {
	expr := strings.NewReplacer(
		"{{release}}", strconv.Itoa(e.Goal.Number), "{{live}}", strconv.Itoa(e.Live.Number), "{{environment}}", e.Key,
	).Replace(q.Expr)
	asked, err := api.NewClient(api.Config{Address: q.Prometheus})
	return func(ctx context.Context) (towpath.FindingState, string) {
		if err != nil {
			return towpath.FindingNone, err.Error()
		}
		answer, _, _, err := prometheus.NewAPI(asked).Query(ctx, expr, time.Now())
		if err != nil {
			return towpath.FindingNone, "Prometheus did not answer: " + firstLineOf(err.Error())
		}
		return judgeValues(q, valuesOf(answer))
	}
}

// valuesOf answers the values of a scalar or of an instant vector, without those that are none.
func valuesOf(answer model.Value) (values []float64) {
	switch answer := answer.(type) {
	case *model.Scalar:
		values = append(values, float64(answer.Value))
	case model.Vector:
		for _, sample := range answer {
			values = append(values, float64(sample.Value))
		}
	}
	var numbers []float64
	for _, v := range values {
		if !math.IsNaN(v) {
			numbers = append(numbers, v)
		}
	}
	return numbers
}

// judgeValues answers the worst of the values.
func judgeValues(q towpath.QueryDefinition, values []float64) (towpath.FindingState, string) {
	if len(values) == 0 {
		return towpath.FindingNone, "it has no values"
	}
	for _, v := range values {
		if q.AtMost != nil && v > *q.AtMost || q.AtLeast != nil && v < *q.AtLeast {
			return towpath.FindingBad, number(v) + limitsOf(q)
		}
	}
	return towpath.FindingGood, number(values[0]) + limitsOf(q)
}

func limitsOf(q towpath.QueryDefinition) string {
	var limits []string
	if q.AtLeast != nil {
		limits = append(limits, "at least "+number(*q.AtLeast))
	}
	if q.AtMost != nil {
		limits = append(limits, "at most "+number(*q.AtMost))
	}
	return fmt.Sprintf(" (%s)", strings.Join(limits, ", "))
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', 4, 64) }

func firstLineOf(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line[:min(len(line), 200)]
}
