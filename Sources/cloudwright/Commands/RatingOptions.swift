import ArgumentParser
import Bookkeeping
import CloudController
import CloudModel
import CloudPorts
import ConfigurationFile
import Foundation

/// By which price plan an expected use is rated.
struct RatingOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Rate the expected use by this price plan; without it by that of the service's owner.", valueName: "name"))
    var pricePlan: String?
    @Option(
        help: ArgumentHelp(
            """
            Take service and price plan from this configuration (YAML); without it from --log-database, or else from \
            the server, which is asked when --price-plan or --service is given.
            """, valueName: "file"))
    var configuration: String?
    @Option(
        help: ArgumentHelp("The month to rate it for, as 2026-12; the next one if not given.", valueName: "month"))
    var month: String?

    func validate() throws { if let month { try BillCommand.MonthOptions.check(month) } }

    /// A plan, and the size of what it is put on.
    struct Basis {
        var plan: PricePlan
        var service: ServiceID
        var size: ResourceLimits
    }

    /// Nil where no plan was asked for and none is known.
    func basis(_ source: HistoryOptions, _ options: GlobalOptions) async throws -> Basis? {
        let isAsked = pricePlan != nil || configuration != nil
        guard let declared = try await declared(source, options) else {
            guard isAsked else { return nil }
            throw CommandFailure("\(source.logDatabase ?? "it") has no configuration; give one with --configuration")
        }
        // A log database is read for its load, its plan being welcome and not demanded.
        let isOptional = !isAsked && source.logDatabase != nil
        let service = source.service.flatMap { name in declared.services.first { $0.id.rawValue == name } }
        if let name = source.service, service == nil, !isOptional {
            throw CommandFailure(
                "there is no service '\(name)'; known are: \(Self.list(declared.services.map(\.id.rawValue)))")
        }
        let owner = service?.owner.flatMap { owner in declared.consumers.first { $0.id == owner } }
        let wanted = pricePlan ?? owner?.pricePlan?.rawValue
        let plan = wanted.map { name in declared.pricePlans.first { $0.id.rawValue == name } }
        guard let plan = plan ?? (declared.pricePlans.count == 1 && !isOptional ? declared.pricePlans[0] : nil) else {
            if isOptional { return nil }
            let known = Self.list(declared.pricePlans.map(\.id.rawValue))
            throw CommandFailure(
                wanted.map { "there is no price plan '\($0)'; known are: \(known)" }
                    ?? "nothing says which price plan counts; name one with --price-plan. Known are: \(known)")
        }
        return Basis(
            plan: plan, service: service?.id ?? ServiceID(source.service ?? "service"),
            size: service?.instanceResources ?? ResourceLimits())
    }

    private func declared(_ source: HistoryOptions, _ options: GlobalOptions) async throws -> CloudConfiguration? {
        if let configuration { return try DeclaredFile.read(configuration).document.configuration }
        if let name = source.logDatabase {
            let database = try await AuditorFiles.database(name)
            let state = try? await database.recoveredState()
            await database.close()
            return state?.configuration
        }
        guard pricePlan != nil || source.service != nil else { return nil }
        let text = String(decoding: try await options.client().configuration(.yaml).value, as: UTF8.self)
        do {
            return try ConfigurationDocument(parsing: text, file: "the server's configuration").configuration
        } catch {
            throw CommandFailure(error.description)
        }
    }

    private static func list(_ names: [String]) -> String {
        names.isEmpty ? "none" : names.sorted().joined(separator: ", ")
    }
}
