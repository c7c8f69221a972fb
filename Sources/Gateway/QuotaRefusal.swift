package import CloudModel

/// Why a consumer is refused whose quota is used up, in the words of the problem document.
package struct QuotaRefusal: Hashable, Sendable {
    package var kind: ExhaustedQuota.Kind
    package var limit: String
    package var used: String
    /// What is left.
    package var balance: String
    /// Nil for requests.
    package var currency: String?
    package var resetsAt: Timestamp
    package var resetsAtText: String

    package init(_ quota: ExhaustedQuota) {
        kind = quota.kind
        limit = quota.text(quota.limit)
        used = quota.text(quota.used)
        balance = quota.text(quota.balance)
        currency = quota.currency?.code
        resetsAt = quota.resetsAt
        resetsAtText = quota.resetsAt.rfc3339
    }

    /// Rounded up: whoever comes back then is not refused for the same reason. A day at most, in case of another quota.
    package func retryAfterSeconds(at now: Timestamp) -> Int {
        let seconds = (max(resetsAt - now, .zero).millisecondsRoundedUp + 999) / 1_000
        return Int(min(max(1, seconds), 31 * 86_400))
    }
}
