import ApusBytes
import ApusConfig
import ApusModel

/// `dns_sd_configs`: names that are looked up again and again; each record is a target.
struct DNSDiscovery: DiscoveryProvider {
    static let mechanism = "dns"
    let config: DNSSDConfig
    let resolver: DNSResolver

    var refreshIntervalMs: Int64 { config.refreshIntervalMs }

    func refresh() throws(DiscoveryFailure) -> DiscoveryUpdate {
        var update = DiscoveryUpdate()
        // A name that cannot be looked up keeps its targets.
        update.isComplete = false
        for name in config.names {
            update.lookups += 1
            do throws(DNSError) {
                update.groups.append(group(name, try resolver.lookUp(name, config.type)))
            } catch {
                update.failedLookups += 1
                update.problems.append(error.description)
            }
        }
        return update
    }

    private func group(_ name: String, _ records: [DNSRecord]) -> TargetGroup {
        var group = TargetGroup(source: name)
        for record in records {
            var labels = [Label("__meta_dns_name", ByteString(name))]
            let address: String
            switch record {
            case .address(let ip): address = ip.contains(":") ? "[\(ip)]:\(config.port)" : "\(ip):\(config.port)"
            case .service(let target, let port):
                labels.append(Label("__meta_dns_srv_record_target", ByteString(target)))
                labels.append(Label("__meta_dns_srv_record_port", ByteString(String(port))))
                address = "\(withoutDot(target)):\(port)"
            case .mailExchange(let host):
                labels.append(Label("__meta_dns_mx_record_target", ByteString(host)))
                address = "\(withoutDot(host)):\(config.port)"
            case .nameServer(let host):
                labels.append(Label("__meta_dns_ns_record_target", ByteString(host)))
                address = "\(withoutDot(host)):\(config.port)"
            }
            group.targets.append(LabelSet(labels + [Label(Target.addressLabel, ByteString(address))]))
        }
        return group
    }

    /// Names end with the root's dot, which nobody writes into an address.
    private func withoutDot(_ name: String) -> String {
        var name = name
        while name.last == "." { name.removeLast() }
        return name
    }
}
