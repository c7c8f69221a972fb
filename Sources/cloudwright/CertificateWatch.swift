import Foundation
import Gateway
import Logging

/// Has the gateway read its certificates again when their files change.
struct CertificateWatch: Sendable {
    let gateway: Gateway
    let logger: Logger

    /// Between two looks at the files: a certificate that was renewed counts within this time.
    private static let interval = Duration.seconds(5)
    /// From when on it is said that a certificate ends.
    private static let warningDays = 14.0

    func run() async {
        var warned = Date.distantPast
        while !Task.isCancelled {
            reload(onlyIfChanged: true)
            if Date.now.timeIntervalSince(warned) > 86_400 {
                warned = .now
                warnOfExpiry()
            }
            try? await Task.sleep(for: Self.interval)
        }
    }

    func reload(onlyIfChanged: Bool) {
        do throws(GatewayError) {
            guard try gateway.reloadCertificates(onlyIfChanged: onlyIfChanged) else { return }
            logger.notice("Read the certificates again")
        } catch {
            logger.error(
                "cannot read the certificates again; those before stay in use", metadata: ["reason": "\(error.message)"]
            )
        }
    }

    private func warnOfExpiry() {
        guard let expiry = gateway.certificateExpiry else { return }
        let days = (Double(expiry) - Date.now.timeIntervalSince1970) / 86_400
        guard days < Self.warningDays else { return }
        logger.warning(
            days < 0 ? "a certificate of the gateway has ended" : "a certificate of the gateway ends soon",
            metadata: ["ends": "\(Date(timeIntervalSince1970: Double(expiry)).formatted(.iso8601))"])
    }
}
