package report

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"

	"github.com/klauspost/compress/zstd"

	"github.com/towpath-cd/towpath"
)

// mostReport is how large a report may get that is decoded, in bytes.
const mostReport = 128 << 20

// Encode writes a whole report, compressed.
func Encode(r towpath.TestReport) ([]byte, error) {
	text, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encode a test report: %w", err)
	}
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, fmt.Errorf("set up compression: %w", err)
	}
	defer encoder.Close()
	return encoder.EncodeAll(text, nil), nil
}

// Decode reads what Encode wrote.
func Decode(content []byte) (r towpath.TestReport, err error) {
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(mostReport))
	if err != nil {
		return r, fmt.Errorf("set up decompression: %w", err)
	}
	defer decoder.Close()
	text, err := decoder.DecodeAll(content, nil)
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil {
		return r, fmt.Errorf("read a test report: %w", err)
	}
	return r, nil
}

// Key stands for a test in what later reports are compared with.
func Key(r towpath.TestResult) uint64 {
	sum := sha256.Sum256([]byte(r.ID()))
	return binary.LittleEndian.Uint64(sum[:])
}

// outcomeBytes is a key and an outcome's place in towpath.TestOutcomes.
const outcomeBytes = 9

// EncodeOutcomes writes the part of a report that later ones are compared with. Of results of one name, one that failed
// counts.
func EncodeOutcomes(r towpath.TestReport) []byte {
	worst := make(map[uint64]byte, len(r.Results))
	for _, result := range r.Results {
		key, outcome := Key(result), place(result.Outcome)
		if before, known := worst[key]; !known || before != place(towpath.TestFailed) {
			worst[key] = outcome
		}
	}
	out := make([]byte, 0, len(worst)*outcomeBytes)
	for key, outcome := range worst {
		out = append(binary.LittleEndian.AppendUint64(out, key), outcome)
	}
	return out
}

func place(o towpath.TestOutcome) byte {
	for i, known := range towpath.TestOutcomes {
		if known == o {
			return byte(i)
		}
	}
	return byte(len(towpath.TestOutcomes))
}

// DecodeOutcomes reads what EncodeOutcomes wrote; what is none of it is left out.
func DecodeOutcomes(content []byte) map[uint64]towpath.TestOutcome {
	outcomes := make(map[uint64]towpath.TestOutcome, len(content)/outcomeBytes)
	for ; len(content) >= outcomeBytes; content = content[outcomeBytes:] {
		if i := int(content[outcomeBytes-1]); i < len(towpath.TestOutcomes) {
			outcomes[binary.LittleEndian.Uint64(content)] = towpath.TestOutcomes[i]
		}
	}
	return outcomes
}
