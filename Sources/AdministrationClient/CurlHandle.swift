import CCurl

extension AdministrationClient {
    private static let startUp: CURLcode = curl_global_init(Int(CURL_GLOBAL_DEFAULT))

    /// A transfer of libcurl's to the server, with what all of this client's have in common: for what URLSession cannot
    /// do. Whoever has it cleans it up.
    func curlHandle(for url: String) throws(ClientError) -> UnsafeMutableRawPointer {
        guard Self.startUp == CURLE_OK, let handle = curl_easy_init() else {
            throw .unreachable(server: server, reason: "libcurl cannot be used: out of memory")
        }
        // Signals would interrupt other threads.
        ccurl_set_number(handle, CURLOPT_NOSIGNAL, 1)
        ccurl_set_number(handle, CURLOPT_CONNECTTIMEOUT, timeoutSeconds)
        ccurl_allow_protocols(handle, "http,https", ccurl_protocols_http)
        ccurl_set_text(handle, CURLOPT_URL, url)
        return handle
    }
}
