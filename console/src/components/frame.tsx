// The frame around the pages: navigation, the signed-in user, light and dark.
import { t } from "@lingui/core/macro";
import { Trans } from "@lingui/react/macro";
import { ActionIcon, Alert, AppShell, Box, Burger, Button, Group, Loader, Menu, NavLink, ScrollArea, Stack, Text, useComputedColorScheme, useMantineColorScheme } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import {
  IconActivityHeartbeat, IconBox, IconCalendarEvent, IconChartLine, IconClock, IconDatabase, IconEye, IconFlask, IconGitBranch, IconHistory, IconListCheck, IconLogout, IconMoon, IconPinned, IconSparkles, IconSun, IconTruckDelivery, IconUserCircle, IconUsers, IconWifiOff,
} from "@tabler/icons-react";
import { onlineManager, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, Outlet, useLocation } from "@tanstack/react-router";
import { useSyncExternalStore } from "react";

import { authServiceGetCurrentUserOptions } from "@client/gen/@tanstack/react-query.gen";
import icon from "../icon.svg";
import { SignIn } from "../pages/sign-in";
import { signOut, useSession } from "../session";
import { Empty, ErrorNotice } from "./page";

const SECTIONS = [
  { name: t`Shop`, links: [{ to: "/products", text: t`Products`, icon: IconBox }, { to: "/recommendations", text: t`Recommendations`, icon: IconSparkles }, { to: "/merchandising", text: t`Merchandising`, icon: IconPinned }, { to: "/experiments", text: t`Experiments`, icon: IconFlask }, { to: "/exposures", text: t`Shown lists`, icon: IconEye }] },
  { name: t`Planning`, links: [{ to: "/forecasts", text: t`Forecasts`, icon: IconChartLine }, { to: "/calendar", text: t`Calendar`, icon: IconCalendarEvent }, { to: "/reorder", text: t`Reorder`, icon: IconTruckDelivery }] },
  { name: t`Data and models`, links: [{ to: "/data", text: t`Data`, icon: IconDatabase }, { to: "/jobs", text: t`Jobs`, icon: IconListCheck }, { to: "/schedules", text: t`Schedules`, icon: IconClock }, { to: "/models", text: t`Models`, icon: IconGitBranch }] },
  { name: t`System`, links: [{ to: "/services", text: t`Services`, icon: IconActivityHeartbeat }, { to: "/users", text: t`Users`, icon: IconUsers, admin: true }, { to: "/audit", text: t`Audit log`, icon: IconHistory, admin: true }] },
] as const;

const STAFF = ["ROLE_STAFF", "ROLE_ADMIN"];

export function Frame() {
  const session = useSession();
  if (session === "unknown")
    return (
      <Stack align="center" justify="center" mih="100dvh" component="main">
        <Loader aria-label={t`Loading`} />
      </Stack>
    );
  return session === "in" ? <SignedIn /> : <SignIn />;
}

function SignedIn() {
  const [opened, { toggle, close }] = useDisclosure();
  const user = useQuery(authServiceGetCurrentUserOptions());
  const { pathname } = useLocation();
  const staff = user.data && STAFF.includes(user.data.role);
  return (
    <AppShell header={{ height: 56, collapsed: false }} navbar={{ width: 232, breakpoint: "sm", collapsed: { mobile: !opened } }} padding={{ base: "md", sm: "xl" }}>
      <a href="#content" className="skip">
        <Trans>Skip to the content</Trans>
      </a>
      <AppShell.Header className="frame">
        <Group h="100%" px="md" justify="space-between" wrap="nowrap">
          <Group gap="sm" wrap="nowrap">
            <Burger opened={opened} onClick={toggle} hiddenFrom="sm" size="sm" aria-label={t`Navigation`} aria-expanded={opened} />
            <Group component={Link} {...{ to: "/products" }} gap={10} wrap="nowrap" style={{ textDecoration: "none", color: "inherit" }}>
              <img src={icon} alt="" width={26} height={26} />
              <Text fw={700}>HashiraMart</Text>
            </Group>
          </Group>
          <Group gap="xs" wrap="nowrap">
            <ColorScheme />
            <UserMenu name={user.data?.display_name || user.data?.email || t`Account`} role={user.data?.role} />
          </Group>
        </Group>
      </AppShell.Header>
      <AppShell.Navbar className="frame" p="sm" aria-label={t`Pages`}>
        <AppShell.Section component={ScrollArea} grow>
          {SECTIONS.map(({ name, links }) => (
            <Box key={name} mb="md">
              <Text fz="xs" fw={600} c="dimmed" px="sm" mb={4}>
                {name}
              </Text>
              {links
                .filter((link) => !("admin" in link) || user.data?.role === "ROLE_ADMIN")
                .map(({ to, text, icon: Icon }) => (
                  <NavLink
                    key={to}
                    component={Link}
                    {...{ to }}
                    label={text}
                    leftSection={<Icon size={18} stroke={1.7} aria-hidden />}
                    active={pathname.startsWith(to)}
                    aria-current={pathname.startsWith(to) ? "page" : undefined}
                    onClick={close}
                    style={{ borderRadius: 8 }}
                  />
                ))}
            </Box>
          ))}
        </AppShell.Section>
      </AppShell.Navbar>
      <AppShell.Main id="content" tabIndex={-1}>
        <Offline />
        {user.error ? (
          <ErrorNotice error={user.error} onRetry={() => void user.refetch()} />
        ) : user.data && !staff && pathname !== "/account" ? (
          <Empty title={t`The console is for the shop's staff`}><Trans>You are signed in as a customer. An administrator can give you another role.</Trans></Empty>
        ) : user.data?.second_factor_missing && pathname !== "/account" ? (
          <Empty title={t`Your role requires a second factor`}>
            <Trans>Until you have one, you can only see your account. <Link to="/account">Set it up</Link>.</Trans>
          </Empty>
        ) : (
          <Outlet />
        )}
      </AppShell.Main>
    </AppShell>
  );
}

/** Says that the connection is lost: nothing is asked for meanwhile. */
function Offline() {
  const online = useSyncExternalStore((onChange) => onlineManager.subscribe(onChange), () => onlineManager.isOnline());
  if (online) return null;
  return (
    <Alert color="orange" variant="light" mb="lg" maw={1240} mx="auto" title={t`Connection lost`} icon={<IconWifiOff aria-hidden />} role="alert">
      <Trans>You see what was known until now. Everything goes on by itself when the connection is back; what you save now is sent then.</Trans>
    </Alert>
  );
}

function ColorScheme() {
  const { setColorScheme } = useMantineColorScheme();
  const scheme = useComputedColorScheme("light");
  const other = scheme === "dark" ? "light" : "dark";
  return (
    <ActionIcon variant="subtle" color="gray" size="lg" aria-label={scheme === "dark" ? t`Change to light colours` : t`Change to dark colours`} onClick={() => setColorScheme(other)}>
      {scheme === "dark" ? <IconSun size={19} aria-hidden /> : <IconMoon size={19} aria-hidden />}
    </ActionIcon>
  );
}

function UserMenu({ name, role }: { name: string; role: string | undefined }) {
  const queries = useQueryClient();
  return (
    <Menu position="bottom-end" withinPortal>
      <Menu.Target>
        <Button variant="subtle" color="gray" px="xs" aria-label={t`Account: ${name}`} leftSection={<IconUserCircle size={20} aria-hidden />}>
          <Text fz="sm" visibleFrom="sm" maw={200} truncate>
            {name}
          </Text>
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>{role === "ROLE_ADMIN" ? t`Administrator` : role === "ROLE_STAFF" ? t`Staff` : t`Customer`}</Menu.Label>
        <Menu.Item component={Link} {...{ to: "/account" }} leftSection={<IconUserCircle size={16} aria-hidden />}>
          <Trans>Your account</Trans>
        </Menu.Item>
        <Menu.Item leftSection={<IconLogout size={16} aria-hidden />} onClick={() => void signOut().finally(() => queries.clear())}>
          <Trans>Sign out</Trans>
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
