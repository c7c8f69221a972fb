import CCurl
import CloudModel
import CloudPorts
import Foundation

/// Posts webhooks to one address.
struct WebhookTransfer {
    var url: String

    func post(
        _ body: Data, headers: [(name: String, value: String)], connectTimeout: TimeSpan,
        timeout: TimeSpan
    ) throws(DeliveryError) {
        guard url.utf8.allSatisfy({ (0x21...0x7E).contains($0) }),
            ["http://", "https://"].contains(where: { url.lowercased().hasPrefix($0) })
        else {
            throw DeliveryError(permanent: true, message: "\"\(MailText.oneLine(url))\" is no http or https URL")
        }
        var transfer = try Transfer()
        defer { transfer.close() }
        transfer.allowHTTP()
        transfer.set(CURLOPT_URL, url)
        transfer.set(CURLOPT_USERAGENT, "cloudwright")
        transfer.set(CURLOPT_POST, 1)
        transfer.set(
            CURLOPT_HTTPHEADER,
            lines: headers.map { "\($0.name): \($0.value)" } + ["Content-Type: application/json", "Expect:"])
        let outcome = body.withUnsafeBytes { bytes in
            transfer.set(CURLOPT_POSTFIELDS, bytes)
            return transfer.perform(connectTimeout: connectTimeout, timeout: timeout)
        }
        if let failure = Self.failure(of: outcome) { throw failure }
    }

    /// A receiver says with its status whether repeating can help. 3xx is taken as a fault in the configured address,
    /// which a person can mend meanwhile.
    static func failure(of outcome: Transfer.Outcome) -> DeliveryError? {
        // The status is there even where the rest of the answer was too long or did not come.
        switch outcome.status {
        case 200...299: return nil
        case 300...399:
            return DeliveryError(
                permanent: false,
                message: "status \(outcome.status): redirects are not followed; configure the address it points to")
        case 400...499:
            return DeliveryError(
                permanent: outcome.status != 408 && outcome.status != 429, message: text(of: outcome))
        case 500...: return DeliveryError(permanent: false, message: text(of: outcome))
        default: break
        }
        switch outcome.code {
        case CURLE_OK: return DeliveryError(permanent: false, message: "status \(outcome.status)")
        case CURLE_URL_MALFORMAT: return DeliveryError(permanent: true, message: outcome.failure)
        default: return DeliveryError(permanent: false, message: outcome.failure)
        }
    }

    private static func text(of outcome: Transfer.Outcome) -> String {
        outcome.answer.isEmpty ? "status \(outcome.status)" : "status \(outcome.status): \(outcome.answer)"
    }
}
