/// The parts of a moment in UTC, by the Gregorian calendar carried on in both directions.
struct CalendarTime {
    let year: Int64
    /// 1…12
    let month: Int64
    /// 1…31
    let day: Int64
    /// 1…366
    let dayOfYear: Int64
    /// 0 is Sunday.
    let dayOfWeek: Int64
    let hour: Int64
    let minute: Int64
    let daysInMonth: Int64

    /// - Parameter seconds: since the epoch; a fraction is cut off. What is no 64-bit number of seconds, NaN and the
    ///   infinities among it, counts as 2⁶³ s, in the year 292,277,026,596: so Prometheus has it on most machines, where a
    ///   conversion that fails gives −2⁶³, and sums of seconds wrap around.
    init(unixSeconds seconds: Double) {
        let days: Int64
        let secondOfDay: Int64
        if let whole = Int64(exactly: seconds.rounded(.towardZero)), whole != .min {
            days = whole.floorDivided(by: 86_400)
            secondOfDay = whole - days * 86_400
        } else {
            let (quotient, remainder) = (UInt64(1) << 63).quotientAndRemainder(dividingBy: 86_400)
            days = Int64(quotient)
            secondOfDay = Int64(remainder)
        }
        hour = secondOfDay / 3_600
        minute = secondOfDay % 3_600 / 60
        dayOfWeek = (days % 7 + 11) % 7

        // Years that begin in March put the leap day last; 400 years are 146,097 days.
        let shifted = days + 719_468
        let era = shifted.floorDivided(by: 146_097)
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayFromMarch = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayFromMarch + 2) / 153
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        let isLeap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0
        let lengths: [Int64] = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        self.year = year
        self.month = month
        day = dayFromMarch - (153 * monthFromMarch + 2) / 5 + 1
        dayOfYear = lengths.prefix(Int(month) - 1).reduce(0, +) + day
        daysInMonth = lengths[Int(month) - 1]
    }
}

extension Int64 {
    fileprivate func floorDivided(by divisor: Int64) -> Int64 {
        let quotient = self / divisor
        return self % divisor < 0 ? quotient - 1 : quotient
    }
}
