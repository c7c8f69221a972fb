package import CloudModel
package import CloudPorts
import Glibc

/// A process template made concrete for one instance: which file is executed, with what.
package struct LaunchPlan: Hashable, Sendable {
    package var executable: String
    package var arguments: [String]
    /// `NAME=value`, the marker first.
    package var environment: [String]
    package var workingDirectory: String?

    package init(_ template: ProcessTemplate, marker: InstanceMarker) throws(InstanceDriverError) {
        let replaced: (String) -> String = { Self.replacingPlaceholders(in: $0, by: marker) }
        arguments = template.command.map(replaced)
        guard let program = arguments.first, !program.isEmpty else {
            throw InstanceDriverError(
                .notExecutable, "service \(marker.service) has an empty command; name the program and its arguments")
        }
        var named = Self.minimalEnvironment()
        for (name, value) in template.environment {
            try Self.check(name: name, of: marker.service)
            named[name] = replaced(value)
        }
        environment = marker.environment + named.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        workingDirectory = template.workingDirectory
        for text in arguments + environment + [workingDirectory ?? ""] where text.utf8.contains(0) {
            throw InstanceDriverError(
                .notExecutable, "the command or environment of service \(marker.service) holds a zero byte; remove it")
        }
        executable = try Self.resolve(
            program, searchPath: named["PATH"] ?? "", workingDirectory: template.workingDirectory)
    }

    private static func minimalEnvironment() -> [String: String] {
        [
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": getenv("HOME").map { String(cString: $0) } ?? "/",
            "LANG": "C.UTF-8",
        ]
    }

    private static func check(name: String, of service: ServiceID) throws(InstanceDriverError) {
        if name.isEmpty || name.contains("=") {
            throw InstanceDriverError(
                .notExecutable,
                "service \(service) sets an environment variable named \"\(name)\"; a name is not empty and has no "
                    + "\"=\""
            )
        }
        if name.hasPrefix(InstanceMarker.prefix) {
            throw InstanceDriverError(
                .notExecutable,
                "service \(service) sets the environment variable \(name); names that begin with "
                    + "\(InstanceMarker.prefix) are the platform's: choose another")
        }
    }

    /// In one pass, so that what is put in is never replaced again. Unknown names in braces stay as they are.
    package static func replacingPlaceholders(in text: String, by marker: InstanceMarker) -> String {
        let values = ["port": "\(marker.port)", "instance": "\(marker.instance)", "service": "\(marker.service)"]
        var result = ""
        var rest = text[...]
        while let open = rest.firstIndex(of: "{") {
            result += rest[..<open]
            rest = rest[open...]
            if let close = rest.firstIndex(of: "}"), let value = values[String(rest.dropFirst()[..<close])] {
                result += value
                rest = rest[close...].dropFirst()
            } else {
                result += "{"
                rest = rest.dropFirst()
            }
        }
        return result + rest
    }

    /// As execvp(3) does, but in the instance's PATH and before anything is started, so that the refusal can say why.
    private static func resolve(
        _ program: String, searchPath: String, workingDirectory: String?
    ) throws(InstanceDriverError) -> String {
        if program.contains("/") {
            let seenFromHere = program.hasPrefix("/") ? program : "\(workingDirectory ?? ".")/\(program)"
            try checkExecutable(program, at: seenFromHere)
            return program
        }
        for directory in searchPath.split(separator: ":") {
            let candidate = "\(directory)/\(program)"
            if isFile(candidate), access(candidate, X_OK) == 0 { return candidate }
        }
        throw InstanceDriverError(
            .notExecutable,
            "there is no program \"\(program)\" in PATH (\(searchPath)); install it, give its whole path, or set PATH "
                + "in the service's environment")
    }

    private static func checkExecutable(_ program: String, at path: String) throws(InstanceDriverError) {
        if access(path, F_OK) != 0 {
            throw InstanceDriverError(
                .notExecutable,
                "\(program): \(SystemFailure.text(ofError: errno)); install the program or correct the command")
        }
        guard isFile(path) else {
            throw InstanceDriverError(.notExecutable, "\(program) is not a file; correct the command")
        }
        guard access(path, X_OK) == 0 else {
            throw InstanceDriverError(
                .notExecutable,
                "\(program) may not be executed: \(SystemFailure.text(ofError: errno)); chmod +x it (and see that its "
                    + "file system is not mounted noexec)")
        }
    }

    private static func isFile(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
    }
}
