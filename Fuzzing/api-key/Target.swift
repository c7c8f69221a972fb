/// API keys: as text that somebody typed, and in the fields of a request.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = UnsafeRawBufferPointer(start: start, count: count)
    checkText(String(decoding: input, as: UTF8.self))
    checkField(PresentedKey(authorization: input, apiKey: nil), .bearer, input)
    checkField(PresentedKey(authorization: nil, apiKey: input), .apiKeyField, input)
    precondition(PresentedKey(authorization: input, apiKey: input).source == .apiKeyField)
    return 0
}

/// Whatever is a key is one in this spelling only, and no character of it can be another.
private func checkText(_ text: String) {
    guard let key = try? APIKey(parsing: text) else { return }
    precondition(key.text == text && text.hasPrefix(key.prefix + "_"))
    precondition(!"\(key)".contains(text.dropFirst(key.prefix.count + 1)))
    for index in text.indices {
        let other: Character = text[index] == "0" ? "1" : "0"
        var changed = text
        changed.replaceSubrange(index...index, with: String(other))
        precondition((try? APIKey(parsing: changed)) == nil, "'\(changed)' passes as well")
    }
}

private func checkField(_ key: PresentedKey, _ source: PresentedKey.Source, _ value: UnsafeRawBufferPointer) {
    precondition(key.source == source || (key.source == .none && source == .bearer))
    guard !key.bytes.isEmpty, let base = value.baseAddress, let found = key.bytes.baseAddress else { return }
    precondition(found >= base && found + key.bytes.count <= base + value.count, "a key lies within its field")
    for end in [key.bytes[0], key.bytes[key.bytes.count - 1]] { precondition(end != 0x20 && end != 0x09) }
}
