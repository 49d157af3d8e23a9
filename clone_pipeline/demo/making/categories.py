"""The nodes of the demo's flat taxonomy: label, summary, keywords. Written for the demo."""

from __future__ import annotations

from typing import NamedTuple


class Category(NamedTuple):
    label: str
    summary: str
    keywords: tuple[str, ...]

    @property
    def key(self) -> str:
        return self.label.lower().replace(" and ", " ").replace(" ", "_")


def _category(label: str, summary: str, keywords: str) -> Category:
    return Category(label, summary, tuple(keywords.split(", ")))


CATEGORIES = (
    _category(
        "Compute",
        "Run virtual machines, containers, functions and batch jobs, and scale them.",
        "virtual machine instances, containers, serverless functions, auto scaling, batch jobs",
    ),
    _category(
        "Storage",
        "Keep files, objects, volumes and archives, and back them up and restore them.",
        "object storage buckets, file systems, block volumes, archive, backup and restore",
    ),
    _category(
        "Database",
        "Store and query records in relational, document, graph and in-memory databases.",
        "relational database clusters, tables and items, snapshots, in-memory cache, graph queries",
    ),
    _category(
        "Networking",
        "Connect networks, route traffic, balance load and manage domain names.",
        "virtual private network, load balancer, domain names, routing, content delivery",
    ),
    _category(
        "Security and identity",
        "Control who may do what, protect keys and secrets, find threats and vulnerabilities.",
        "users and roles, permissions policy, encryption keys, secrets, threat detection",
    ),
    _category(
        "Analytics",
        "Query, transform and visualize large data sets and streams.",
        "data lake queries, data catalog, dashboards, stream processing, data preparation",
    ),
    _category(
        "Machine learning",
        "Train and serve models; understand language, images, speech and documents.",
        "model training, inference endpoint, foundation models, image recognition, speech to text",
    ),
    _category(
        "Application integration",
        "Let applications talk through queues, topics, events and workflows.",
        "message queue, publish and subscribe, event bus, workflow state machine, schedules",
    ),
    _category(
        "Developer tools",
        "Keep source code, build, test and deploy applications.",
        "source repository, build project, deployment pipeline, packages, tracing",
    ),
    _category(
        "Management and governance",
        "Watch, configure, audit and organize accounts and resources, and their cost.",
        "metrics and alarms, resource configuration, audit logs, accounts, budgets and cost",
    ),
    _category(
        "Internet of things",
        "Connect, manage and read devices, vehicles and industrial equipment.",
        "devices, sensors, firmware update, wireless gateway, industrial assets",
    ),
    _category(
        "Media and games",
        "Process and deliver video, run live channels and game servers.",
        "video streaming, live channel, transcoding, game servers, advertisements",
    ),
    _category(
        "Migration and transfer",
        "Move servers, databases and files from elsewhere into the cloud.",
        "database migration, data transfer task, replication server, mainframe, discovery",
    ),
    _category(
        "Business applications",
        "Serve customers and employees: contact centers, mail, desktops and documents.",
        "contact center, email sending, virtual desktops, customer support case, knowledge search",
    ),
)
