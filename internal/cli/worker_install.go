package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/towpath-cd/towpath/internal/app"
	"github.com/towpath-cd/towpath/internal/config"
	"github.com/towpath-cd/towpath/internal/confine"
	"github.com/towpath-cd/towpath/internal/service"
)

// workerService is the worker's name among the services of a machine.
const workerService = "towpath-worker"

// installation is a worker that is to be a service.
type installation struct {
	workerWish
	user bool
	as   string
}

// newWorkerInstallCommand is "towpath worker install".
func newWorkerInstallCommand(console *Console) *cobra.Command {
	i := installation{workerWish: workerWish{WorkerOptions: app.WorkerOptions{Config: config.DefaultWorker()}}}
	var dry bool
	command := &cobra.Command{
		Use:   "install",
		Short: "Have the machine start the worker, now and always",
		Long: "Writes a unit of systemd, a job of launchd or a Windows service, and starts it. The token goes into a file that only\n" +
			"the worker's account can read, never into the definition. Doing it again takes over other flags. With --user the\n" +
			"worker is yours, and runs while you are signed in (loginctl enable-linger has it run always); else it is the\n" +
			"machine's, which takes root.",
		Example: "  sudo towpath worker install --as builder --server https://towpath.example.com --token twr_…\n" +
			"  towpath worker install --user --server https://towpath.example.com --token twr_…\n  towpath worker install --user --dry-run",
		Args: cobra.NoArgs,
	}
	i.flags(command.Flags())
	command.Flags().BoolVar(&i.user, "user", false, "for yourself, not for the machine")
	command.Flags().StringVar(&i.as, "as", "", "account that steps run as; a machine's worker needs one")
	command.Flags().BoolVar(&dry, "dry-run", false, "show what would be written, and change nothing")
	command.RunE = func(command *cobra.Command, _ []string) error {
		unit, err := i.unit(command.Flags())
		if err != nil {
			return err
		}
		if dry {
			text, err := service.Preview(unit)
			if err != nil {
				return err
			}
			return console.Show(map[string]string{"definition": text}, strings.TrimSpace(text))
		}
		if err := app.PrepareWorker(i.Data, i.Token, i.as); err != nil {
			return err
		}
		where, err := service.Install(command.Context(), unit)
		if err != nil {
			return err
		}
		return console.Show(map[string]string{"installed": where}, "the worker is started by "+where)
	}
	return command
}

// newWorkerUninstallCommand is "towpath worker uninstall".
func newWorkerUninstallCommand(console *Console) *cobra.Command {
	unit := service.Unit{Name: workerService}
	command := &cobra.Command{
		Use:     "uninstall",
		Short:   "Have the machine start the worker no more",
		Long:    "Stops the worker and takes away what towpath worker install wrote. Its data folder stays, and what it deployed runs on.",
		Example: "  sudo towpath worker uninstall\n  towpath worker uninstall --user",
		Args:    cobra.NoArgs,
	}
	command.Flags().BoolVar(&unit.User, "user", false, "yours, not the machine's")
	command.RunE = func(command *cobra.Command, _ []string) error {
		where, err := service.Uninstall(command.Context(), unit)
		if errors.Is(err, fs.ErrNotExist) {
			return usage("no worker is installed", "--user is for one that was installed with it")
		}
		if err != nil {
			return err
		}
		return console.Show(removed{where}, where+" is removed")
	}
	return command
}

// unit is the service that starts the worker with the flags that were given.
func (i *installation) unit(given *pflag.FlagSet) (service.Unit, error) {
	isApart := i.Config.Isolation != confine.None
	switch {
	case isApart && (i.user || i.as != "" && i.as != "root"):
		return service.Unit{}, usage("only a worker of root's can keep steps apart", "leave out --user and --as, or --isolation")
	case isApart:
		i.as = "root"
	}
	if !i.user && i.as == "" && runtime.GOOS != "windows" {
		return service.Unit{}, usage("whose account are steps run as?", "--as NAME says so, and --user is for your own")
	}
	if !i.user && !given.Changed("data") {
		i.Data = machineData()
	}
	program, err := os.Executable()
	if err != nil {
		return service.Unit{}, fmt.Errorf("find this program: %w", err)
	}
	if i.Data, err = filepath.Abs(i.Data); err != nil {
		return service.Unit{}, fmt.Errorf("find the data folder: %w", err)
	}
	command := []string{
		program, "worker", "--server", i.Server, "--data", i.Data, "--token-file", app.TokenFile(i.Data),
		"--name", i.Config.Name, "--slots", strconv.Itoa(i.Config.Slots),
	}
	for _, label := range i.Config.Labels {
		command = append(command, "--label", label)
	}
	for _, name := range i.Config.PassEnv {
		command = append(command, "--pass-env", name)
	}
	for _, name := range []string{"proxy-data", "isolation", "isolation-users", "step-memory", "step-cpus", "step-processes"} {
		if given.Changed(name) {
			command = append(command, "--"+name, given.Lookup(name).Value.String())
		}
	}
	return service.Unit{
		Name: workerService, Description: "Towpath worker", Command: command, Path: os.Getenv("PATH"), Data: i.Data,
		User: i.user, As: i.as, Groups: i.Config.Isolation == confine.Namespaces,
	}, nil
}

// machineData is where a machine's worker keeps its data.
func machineData() string {
	if runtime.GOOS == "windows" {
		return filepath.Join(os.Getenv("ProgramData"), "towpath", "worker")
	}
	return "/var/lib/towpath/worker"
}
