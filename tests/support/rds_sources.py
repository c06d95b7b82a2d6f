"""An instance and a cluster with nothing as AWS gives it by default, and what finds them."""

from __future__ import annotations

from typing import Any, Final

from tests.support.rds_model import Document, Region

SG: Final = [{"VpcSecurityGroupId": one, "Status": "active"} for one in ("sg-1", "sg-2")]
TAGS: Final = [{"Key": "team", "Value": "shop"}, {"Key": "aws:stack", "Value": "x"}]
PARAMETER: Final = "/shop/db/host"
ROLE: Final = "arn:aws:iam::123456789012:role/imports"
MONITOR: Final = "arn:aws:iam::123456789012:role/monitor"
KMS: Final = "arn:aws:kms:eu-west-2:123456789012:key/1"


def full_instance(region: Region, name: str = "shop-db", **more: Any) -> Document:  # noqa: ANN401
    """Make an instance of which every setting is a person's, with automated backups."""
    said: dict[str, Any] = {
        "DBInstanceClass": "db.r6g.xlarge",
        "AllocatedStorage": 500,
        "MaxAllocatedStorage": 2000,
        "StorageType": "gp3",
        "Iops": 12000,
        "StorageThroughput": 600,
        "MultiAZ": True,
        "PubliclyAccessible": True,
        "DeletionProtection": True,
        "CopyTagsToSnapshot": True,
        "AutoMinorVersionUpgrade": False,
        "IAMDatabaseAuthenticationEnabled": True,
        "BackupRetentionPeriod": 21,
        "PreferredBackupWindow": "01:00-01:30",
        "PreferredMaintenanceWindow": "sat:04:00-sat:04:30",
        "MonitoringInterval": 15,
        "MonitoringRoleArn": MONITOR,
        "PerformanceInsightsEnabled": True,
        "PerformanceInsightsKMSKeyId": KMS,
        "PerformanceInsightsRetentionPeriod": 93,
        "DatabaseInsightsMode": "standard",
        "NetworkType": "DUAL",
        "CACertificateIdentifier": "rds-ca-ecc384-g1",
        "StorageEncrypted": True,
        "KmsKeyId": KMS,
        "VpcSecurityGroups": SG,
        "DBSubnetGroup": {"DBSubnetGroupName": "private"},
        "DBParameterGroups": [
            {"DBParameterGroupName": "shop16", "ParameterApplyStatus": "in-sync"}
        ],
        "OptionGroupMemberships": [{"OptionGroupName": "shop-options", "Status": "in-sync"}],
        "EnabledCloudwatchLogsExports": ["postgresql", "upgrade"],
        "DomainMemberships": [{"Domain": "d-1", "IAMRoleName": "join", "FQDN": "shop.local"}],
        "AssociatedRoles": [{"RoleArn": ROLE, "FeatureName": "s3Import", "Status": "ACTIVE"}],
        "TagList": TAGS,
        "Endpoint": {"Address": region.host(name), "Port": 6432, "HostedZoneId": "Z1"},
        "CertificateDetails": {"CAIdentifier": "rds-ca-ecc384-g1"},
        "DBInstanceAutomatedBackupsReplications": [],
        **more,
    }
    document = region.add_instance(name, **said)
    region.parameters["shop16"] = {"work_mem": "65536"}
    region.back_up(name)
    return document


def full_cluster(region: Region, name: str = "shop") -> Document:
    """Make a cluster with two instances, of which every setting is a person's, with backups."""
    document = region.add_cluster(
        name,
        Port=6432,
        StorageType="aurora-iopt1",
        DeletionProtection=True,
        CopyTagsToSnapshot=True,
        BackupRetentionPeriod=21,
        PreferredBackupWindow="01:00-01:30",
        PreferredMaintenanceWindow="sat:04:00-sat:04:30",
        IAMDatabaseAuthenticationEnabled=True,
        DBSubnetGroup="private",
        DBClusterParameterGroup="shop-cluster16",
        VpcSecurityGroups=SG,
        EnabledCloudwatchLogsExports=["postgresql"],
        ServerlessV2ScalingConfiguration={"MinCapacity": 0.5, "MaxCapacity": 16.0},
        HttpEndpointEnabled=True,
        StorageEncrypted=True,
        KmsKeyId=KMS,
        TagList=TAGS,
    )
    region.parameters["shop-cluster16"] = {"rds.force_ssl": "1"}
    common = {
        "DBParameterGroups": [
            {"DBParameterGroupName": "shop16", "ParameterApplyStatus": "in-sync"}
        ],
        "CACertificateIdentifier": "rds-ca-ecc384-g1",
        "AutoMinorVersionUpgrade": False,
        "PreferredMaintenanceWindow": "sat:05:00-sat:05:30",
        "MonitoringInterval": 30,
        "MonitoringRoleArn": MONITOR,
    }
    region.add_member(
        document, "shop-a", DBInstanceClass="db.serverless", PromotionTier=0, **common
    )
    region.add_member(document, "shop-b", DBInstanceClass="db.r6g.large", PromotionTier=3, **common)
    region.back_up_cluster(name)
    return document
