public import AdministrationAPI
public import ArgumentParser

// Words of the API that can be typed as they are.
extension API.Role: ExpressibleByArgument {}
extension API.ConstraintKind: ExpressibleByArgument {}
extension API.AuditFormat: ExpressibleByArgument {}
extension API.LoginOutcome: ExpressibleByArgument {}
extension API.Mechanism: ExpressibleByArgument {}
extension API.FocusVersion: ExpressibleByArgument {}
extension API.ImageFormat: ExpressibleByArgument {}
extension API.MigrationMode: ExpressibleByArgument {}
