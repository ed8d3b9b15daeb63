import Foundation
import Testing

/// The pages, in a real browser. A failure leaves a picture of the page.
@Suite(
    "Pages in a browser", .serialized,
    .enabled(if: Programs.chromium != nil, "Chromium is not installed: scripts/install-test-peers"))
struct BrowserTests {
    let system: RunningSystem
    init() throws { system = try RunningSystem.shared.get() }

    @Test("the graph page draws a query and its legend")
    func graph() throws {
        #expect(eventually { !system.query("rate(prometheus_http_requests_total[10s])").isEmpty })
        try expectPage("/?g0.expr=up&g0.tab=graph&g0.range_input=5m", shows: ["job=\"apus\"", "<canvas"])
    }

    @Test("the table tab shows values")
    func table() throws {
        #expect(eventually { !system.query("up == 1").isEmpty })
        try expectPage("/?g0.expr=up&g0.tab=table", shows: ["job=\"shop\""])
    }

    @Test("the targets page shows health")
    func targets() throws {
        #expect(eventually { system.query("up == 1").count == system.jobs.count })
        try expectPage("/targets", shows: ["/metrics", "shop"])
    }

    @Test("the relabelling page shows what each rule does")
    func relabelling() throws {
        try expectPage(
            "/relabel?pool=shop&labels=%7B%22__address__%22%3A%22a%3A1%22%7D", shows: ["Discovered targets", "relabel_configs", "shop"])
    }

    /// Loads the page, lets its requests finish, and looks for `parts` in the document that the scripts made.
    private func expectPage(_ path: String, shows parts: [String]) throws {
        let document = try browse(["--dump-dom"], path)
        let missing = parts.filter {
            !document.contains($0) && !document.contains($0.replacingOccurrences(of: "\"", with: "&quot;"))
        }
        if !missing.isEmpty {
            let picture = Programs.buildFolder.appending(path: "failed-page-\(UUID().uuidString.prefix(8)).png")
            _ = try browse(["--screenshot=\(picture.path)", "--window-size=1280,900"], path)
            Issue.record("\(path) lacks \(missing); picture: \(picture.path)\n\(document.prefix(3_000))")
        }
    }

    private func browse(_ arguments: [String], _ path: String) throws -> String {
        let program = try #require(Programs.chromium)
        let browser = Process()
        browser.executableURL = program
        browser.arguments =
            [
                "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
                "--virtual-time-budget=8000", "--timeout=30000",
                "--user-data-dir=\(system.folder.appending(path: "browser-\(UUID().uuidString.prefix(8))").path)",
            ] + arguments + [system.address + path]
        let output = Pipe()
        browser.standardOutput = output
        browser.standardError = FileHandle.nullDevice
        try browser.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        browser.waitUntilExit()
        return text
    }
}
