package access

import "slices"

// Permission is one thing that somebody may be allowed to do.
type Permission string

// The permissions in a project.
const (
	ReadProject        Permission = "project.read" // its runs, logs, releases and environments
	StartRun           Permission = "run.start"
	CancelRun          Permission = "run.cancel"
	Approve            Permission = "approve" // where the approval names them as well
	Deploy             Permission = "deploy"
	Rollback           Permission = "rollback"
	Promote            Permission = "promote"
	ManageEnvironments Permission = "environment.manage" // freeze, thaw, unpin, start outside of a window
	ManageProject      Permission = "project.manage"     // its settings, and its end
	WriteSecrets       Permission = "secret.write"
	AllowForks         Permission = "fork.allow" // let a pull request from a fork run, once it was read
	OpenShells         Permission = "shell.open" // in the place of a step's script, as the server's policy allows
)

// The permissions on the server. Only administrators have them.
const (
	CreateProjects Permission = "project.create"
	ManageUsers    Permission = "user.manage"
	ManageWorkers  Permission = "worker.manage"
	ReadAudit      Permission = "audit.read"
	ManageServer   Permission = "server.manage"
)

// ProjectPermissions and ServerPermissions list every permission.
var (
	ProjectPermissions = []Permission{
		ReadProject, StartRun, CancelRun, Approve, Deploy, Rollback, Promote, ManageEnvironments, ManageProject, WriteSecrets, AllowForks, OpenShells,
	}
	ServerPermissions = []Permission{CreateProjects, ManageUsers, ManageWorkers, ReadAudit, ManageServer}
)

// IsServerWide says that the permission is on the server, not in a project.
func (p Permission) IsServerWide() bool { return slices.Contains(ServerPermissions, p) }

// isKnown says that there is such a permission.
func (p Permission) isKnown() bool { return p.IsServerWide() || slices.Contains(ProjectPermissions, p) }

// Role is what somebody is in a project.
type Role string

// The roles in a project. Who is an administrator has every permission everywhere.
const (
	RoleViewer     Role = "viewer"
	RoleRunner     Role = "runner"
	RoleApprover   Role = "approver"
	RoleDeployer   Role = "deployer"
	RoleMaintainer Role = "maintainer"
)

// Roles lists every role.
var Roles = []Role{RoleViewer, RoleRunner, RoleApprover, RoleDeployer, RoleMaintainer}

// Permissions answers what the role allows in its project; nothing for a role that does not exist.
func (r Role) Permissions() []Permission {
	switch r {
	case RoleViewer:
		return []Permission{ReadProject}
	case RoleRunner:
		return []Permission{ReadProject, StartRun, CancelRun}
	case RoleApprover:
		return []Permission{ReadProject, Approve}
	case RoleDeployer:
		return []Permission{ReadProject, StartRun, CancelRun, Deploy, Rollback, Promote}
	case RoleMaintainer:
		return slices.Clone(ProjectPermissions)
	}
	return nil
}
