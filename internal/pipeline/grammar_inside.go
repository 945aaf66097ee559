package pipeline

import (
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/towpath-cd/towpath"
)

// leastMemory is what a container needs to start at all, in bytes.
const leastMemory = 6_000_000

// insideShape is an image, or an image with its settings.
func insideShape() *shape {
	return either(text(imageFormat()), mapping(append(containerFields(true),
		field{key: "instance", doc: "step that built the image of a machine to run on", later: true, shape: text(nameFormat())})...))
}

func containerFields(isRequired bool) []field {
	return []field{
		{key: "image", doc: "container image, such as golang:1.26", required: isRequired, shape: text(imageFormat())},
		{key: "pull", doc: "when the image is fetched", fallback: string(towpath.PullMissing), shape: words(
			string(towpath.PullMissing), string(towpath.PullAlways), string(towpath.PullNever))},
		{key: "credentials", doc: "the secret by which the image is fetched: user:password, or docker's config.json; the script does not see it", shape: text(variableFormat())},
		{key: "memory", doc: "how much it may use, such as 512MB; by default any amount", shape: text(sizeFormat())},
		{key: "cpus", doc: `how many processors' time it may use, such as 2 or "1.5"; by default any`, shape: either(number(1, 1024), text(matching(
			"a number of processors", `^[0-9]{1,4}(\.[0-9]{1,3})?$`, `write it as 2 or "1.5"`)))},
		{key: "processes", doc: "how many processes and threads it may have at a time; by default any number", shape: number(1, 1<<22)},
	}
}

func servicesShape() *shape {
	port := number(1, 65535)
	return table(slugFormat("a service's name"), mapping(append(containerFields(false),
		field{key: "command", doc: "command; with an image, instead of what it begins with", shape: text(nil)},
		field{key: "env", doc: "variables", shape: variablesShape()},
		field{key: "ports", doc: "ports of the container, besides those that its image names", shape: list(port)},
		field{key: "ready", doc: "how it shows that it is ready; by default it is once it runs", shape: oneOf(
			field{key: "tcp", doc: "port that accepts", shape: port},
			field{key: "http", doc: "port and path that answer 2xx or 3xx, such as 8080/healthz", shape: text(matching(
				"a port and a path such as 8080/healthz", `^[0-9]{1,5}/[^\s]*$`, "write the port, a slash and the rest of the path"))},
			field{key: "command", doc: "script that ends with 0", shape: text(nil)},
		)},
		field{key: "within", doc: "how long that may take", fallback: "60s", shape: duration(time.Second, time.Hour)},
	)...))
}

func imageFormat() *format {
	return matching("a container image", `^[a-zA-Z0-9][a-zA-Z0-9._:/@-]{0,254}$`, "write it as docker does, for example golang:1.26")
}

var (
	sizeForm = regexp.MustCompile(`^([0-9]{1,9})(kB|MB|GB|TB|KiB|MiB|GiB|TiB)$`)
	// sizeUnits are in bytes, the larger ones first.
	sizeUnits = []struct {
		name  string
		bytes int64
	}{{"TiB", 1 << 40}, {"TB", 1e12}, {"GiB", 1 << 30}, {"GB", 1e9}, {"MiB", 1 << 20}, {"MB", 1e6}, {"KiB", 1 << 10}, {"kB", 1e3}}
)

func sizeFormat() *format {
	return &format{what: "a size such as 512MB", pattern: sizeForm.String(), check: func(s string) (string, string) {
		switch size := parseSize(s); {
		case size == 0:
			return fmt.Sprintf("%q is not a size", clip(s)), "write it with its unit, for example 512MB or 2GiB"
		case size < leastMemory:
			return fmt.Sprintf("%s is less than a container needs to start", clip(s)), "give it 6MB at the least"
		}
		return "", ""
	}}
}

// parseSize answers bytes; 0 is no size.
func parseSize(s string) int64 {
	parts := sizeForm.FindStringSubmatch(s)
	if parts == nil {
		return 0
	}
	count, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil {
		return 0
	}
	for _, unit := range sizeUnits {
		if unit.name == parts[2] && count <= (1<<62)/unit.bytes {
			return count * unit.bytes
		}
	}
	return 0
}

// formatSize is what parseSize reads.
func formatSize(size int64) string {
	for _, unit := range sizeUnits {
		if size%unit.bytes == 0 {
			return strconv.FormatInt(size/unit.bytes, 10) + unit.name
		}
	}
	return strconv.FormatInt(size, 10)
}
