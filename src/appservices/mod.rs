//! Application services (bridges and bots): registrations, namespaces, and delivery to them.
