import AdministrationAPI
import AdministrationClient
import ArgumentParser

extension AuditCommand {
    struct Erase: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Take what tells of a person out of all stored logins of a name.",
            discussion: """
                The name, addresses, clients, paths and tags of secrets are erased for good; time, service and outcome \
                stay, and the logs still verify. Events and notifications of guessing, the access log, backups and \
                what was exported are not touched. Repeat the name with --confirm.
                """)
        @Argument(help: "The name that was logged in with, as the audit log has it.") var principal: String
        @Option(help: "The same name again: there is no way back.") var confirm: String
        @OptionGroup var options: GlobalOptions

        func validate() throws {
            guard principal == confirm else {
                throw ValidationError("--confirm says '\(confirm)' and not '\(principal)'; nothing was erased.")
            }
        }

        func run() async throws {
            let done = try await options.client().eraseLogins(of: principal)
            try options.show(done) {
                "Erased from \(done.erased) logins."
                    + (done.kept == 0 ? "" : " \(done.kept) are from before erasure was possible, and stay.")
            }
        }
    }
}
