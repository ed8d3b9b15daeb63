import ApusBytes

// Points in time as the API reads and writes them: RFC 3339 text and milliseconds since the epoch.

/// Days since 1970-01-01 of a date in the proleptic Gregorian calendar.
/// Source: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", `days_from_civil`.
private func daysFromCivil(year: Int64, month: Int64, day: Int64) -> Int64 {
    let y = month <= 2 ? year - 1 : year
    let era = (y >= 0 ? y : y - 399) / 400
    let yearOfEra = y - era * 400
    let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
    return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
}

/// The inverse of `daysFromCivil`.
private func civilFromDays(_ days: Int64) -> (year: Int64, month: Int64, day: Int64) {
    let shifted = days + 719_468
    let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
    let dayOfEra = shifted - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let marchMonth = (5 * dayOfYear + 2) / 153
    let month = marchMonth + (marchMonth < 10 ? 3 : -9)
    return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * marchMonth + 2) / 5 + 1)
}

/// `2024-02-29T13:00:00.5+01:00` in milliseconds since the epoch, digits below a millisecond cut off; nil when the
/// text is not RFC 3339.
func parseRFC3339(_ text: ByteString) -> Int64? {
    var rest = text.bytes[...]
    func number(_ digits: Int) -> Int64? {
        guard rest.count >= digits else { return nil }
        var value: Int64 = 0
        for byte in rest.prefix(digits) {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
            value = value * 10 + Int64(byte - UInt8(ascii: "0"))
        }
        rest = rest.dropFirst(digits)
        return value
    }
    func skip(_ expected: Unicode.Scalar) -> Bool {
        guard rest.first == UInt8(ascii: expected) else { return false }
        rest = rest.dropFirst()
        return true
    }
    guard let year = number(4), skip("-"), let month = number(2), skip("-"), let day = number(2), skip("T"),
        let hour = number(2), skip(":"), let minute = number(2), skip(":"), let second = number(2),
        (1...12).contains(month), (1...daysInMonth(year: year, month: month)).contains(day),
        hour < 24, minute < 60, second < 60
    else { return nil }
    var fractionMs: Int64 = 0
    if rest.first == UInt8(ascii: ".") || rest.first == UInt8(ascii: ",") {
        rest = rest.dropFirst()
        var unit: Int64 = 100
        var digits = 0
        while let digit = number(1) {
            fractionMs += digit * unit
            unit /= 10
            digits += 1
        }
        guard digits > 0 else { return nil }
    }
    var offsetMinutes: Int64 = 0
    if !skip("Z") {
        let isWest = rest.first == UInt8(ascii: "-")
        guard skip("+") || skip("-"), let hours = number(2), skip(":"), let minutes = number(2), hours < 24, minutes < 60
        else { return nil }
        offsetMinutes = (isWest ? -1 : 1) * (hours * 60 + minutes)
    }
    guard rest.isEmpty else { return nil }
    let minutes = daysFromCivil(year: year, month: month, day: day) * 1440 + hour * 60 + minute - offsetMinutes
    return (minutes * 60 + second) * 1000 + fractionMs
}

private func daysInMonth(year: Int64, month: Int64) -> Int64 {
    switch month {
    case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
    case 4, 6, 9, 11: 30
    default: 31
    }
}

/// Milliseconds since the epoch as RFC 3339 in UTC: `2024-02-29T12:00:00.5Z`, or with all of the fraction, `…00.500Z`.
public func formatRFC3339(ms: Int64, allDigits: Bool = false) -> String {
    let seconds = ms >= 0 ? ms / 1000 : (ms - 999) / 1000
    let fraction = ms - seconds * 1000
    let days = seconds >= 0 ? seconds / 86_400 : (seconds - 86_399) / 86_400
    let inDay = seconds - days * 86_400
    let date = civilFromDays(days)
    var text =
        "\(padded(date.year, 4))-\(padded(date.month, 2))-\(padded(date.day, 2))"
        + "T\(padded(inDay / 3600, 2)):\(padded(inDay / 60 % 60, 2)):\(padded(inDay % 60, 2))"
    if fraction != 0 || allDigits {
        var digits = padded(fraction, 3)
        while !allDigits, digits.hasSuffix("0") { digits.removeLast() }
        text += "." + digits
    }
    return text + "Z"
}

/// The Date header: `Thu, 29 Feb 2024 12:00:00 GMT`.
func formatHTTPDate(ms: Int64) -> String {
    let seconds = max(0, ms) / 1000
    let days = seconds / 86_400
    let inDay = seconds - days * 86_400
    let date = civilFromDays(days)
    let weekdays = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    return "\(weekdays[Int(days % 7)]), \(padded(date.day, 2)) \(months[Int(date.month - 1)]) \(padded(date.year, 4)) "
        + "\(padded(inDay / 3600, 2)):\(padded(inDay / 60 % 60, 2)):\(padded(inDay % 60, 2)) GMT"
}

private func padded(_ value: Int64, _ width: Int) -> String {
    let text = String(value)
    return String(repeating: "0", count: max(0, width - text.utf8.count)) + text
}
